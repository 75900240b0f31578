// Watches WebGPU: gathers what the compiler says of each shader, and fakes errors of the device, which come late.

// What the compiler has said, and how many modules it has seen.
window.compiled = { modules: 0, messages: [] };
const createShaderModule = GPUDevice.prototype.createShaderModule;
GPUDevice.prototype.createShaderModule = function (descriptor) {
    const module = createShaderModule.call(this, descriptor);
    window.compiled.modules++;
    module.getCompilationInfo().then(info => {
        for (const { type, message, lineNum } of info.messages) {
            const line = descriptor.code.split('\n')[lineNum - 1];
            window.compiled.messages.push(`${descriptor.label}: ${type}: ${message} in \`${line}\``);
        }
    }, () => {});
    return module;
};

// The kind of error that the next scope of this kind finds.
window.fake = null;
const { pushErrorScope, popErrorScope } = GPUDevice.prototype;
const kinds = new WeakMap();
GPUDevice.prototype.pushErrorScope = function (kind) {
    if (kind === 'internal') console.error('wgpu 30 panics if a scope for internal errors finds one');
    if (!kinds.has(this)) kinds.set(this, []);
    kinds.get(this).push(kind);
    return pushErrorScope.call(this, kind);
};
GPUDevice.prototype.popErrorScope = function () {
    const kind = kinds.get(this).pop(), popped = popErrorScope.call(this);
    if (window.fake !== kind) return popped;
    window.fake = null;
    const error = kind === 'validation' ? new GPUValidationError('faked') : new GPUOutOfMemoryError('faked');
    return popped.then(() => new Promise(resolve => setTimeout(() => resolve(error), 30)));
};
