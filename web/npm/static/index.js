// The JavaScript half of the package: plain objects in and out. The other half is wasm.
import init, { Gpu, Groups, Optimizer, Tensors, narrow, widen } from './npm.js';

let ready;
const gpus = new WeakMap();

/** Makes a GPUDevice that an Adam can use. */
export async function requestDevice({ label, powerPreference, requiredFeatures = [], limits = 'webgpu', ...others } = {}) {
    none('requestDevice', others);
    if (!globalThis.navigator?.gpu) throw new Error('there is no WebGPU here: navigator.gpu is undefined');
    // The browser starts its GPU process while the wasm is compiled.
    navigator.gpu.requestAdapter({ powerPreference }).catch(() => {});
    ready ??= init();
    await ready.catch(error => {
        ready = undefined; // The next call tries again.
        throw error;
    });
    const gpu = await Gpu.request(label, powerPreference, [...requiredFeatures], limits);
    const { device } = gpu;
    gpus.set(device, gpu);
    return device;
}

export class Adam {
    #optimizer;
    #device;

    static async create({ device, groups, options = {}, usage = 0, ...others }) {
        none('create', others);
        device ??= await requestDevice();
        const gpu = gpus.get(device);
        if (!gpu) throw new TypeError('the device must be one that requestDevice() made, since wgpu takes no other');
        const specs = new Groups();
        groups.forEach((group, i) => push(specs, `groups[${i}]`, group));
        const tensors = groups.flatMap(group => group.tensors);
        const contents = tensors.map(encoded);
        const adam = new Adam();
        adam.#device = device;
        adam.#optimizer = await Optimizer.create(gpu, specs, toRust('options', options), usage);
        adam.#fill(tensors, contents);
        return adam;
    }

    get device() { return this.#device; }
    get names() { return this.#optimizer.names(); }
    get dispatches() { return this.#optimizer.dispatches(); }
    get lossScaleBuffer() { return this.#optimizer.loss_scale_buffer(); }

    param(name) { return this.#optimizer.binding(name, false); }
    grad(name) { return this.#optimizer.binding(name, true); }

    step() { this.#optimizer.step(); }
    evalMode() { this.#optimizer.eval_mode(); }
    trainMode() { this.#optimizer.train_mode(); }

    write(name, data) {
        const { dtype, len } = this.param(name);
        this.#fill([{ name }], [encoded({ name, dtype, len, data })]);
    }

    async read(name) {
        const { buffer, offset, size, dtype, len } = this.param(name);
        const staging = this.#device.createBuffer({ size, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST });
        try {
            const encoder = this.#device.createCommandEncoder();
            encoder.copyBufferToBuffer(buffer, offset, staging, 0, size);
            this.#device.queue.submit([encoder.finish()]);
            await staging.mapAsync(GPUMapMode.READ);
            const bytes = staging.getMappedRange().slice();
            return dtype === 'F32' ? new Float32Array(bytes) : widen(new Uint16Array(bytes, 0, len), dtype === 'Bf16');
        } finally {
            staging.destroy();
        }
    }

    config(group) { return renamed('config', JSON.parse(this.#optimizer.config(group)), camel); }

    async setLr(group, lr) { await this.#optimizer.set_lr(group, lr); }
    async setConfig(group, change) {
        await this.#optimizer.set_config(group, toRust('config', { ...this.config(group), ...change }));
    }
    async setSchedule(group, schedule) { await this.#optimizer.set_schedule(group, toRust('schedule', schedule)); }
    async setActive(names, active) { await this.#optimizer.set_active(list(names), active); }

    async add(group, tensors) {
        const contents = tensors.map(encoded);
        await this.#optimizer.add(group, specsOf(tensors));
        this.#fill(tensors, contents);
    }
    async remove(names) { await this.#optimizer.remove(list(names)); }
    async reset(names) { await this.#optimizer.reset(list(names)); }

    async report() { return this.#optimizer.report(); }
    memoryUse() { return this.#optimizer.memory_use(); }
    async state() { return this.#optimizer.state(); }
    async load(bytes) { await this.#optimizer.load(bytes instanceof ArrayBuffer ? new Uint8Array(bytes) : bytes); }

    free() { this.#optimizer.free(); }

    #fill(tensors, contents) {
        tensors.forEach(({ name }, i) => {
            if (!contents[i]) return;
            const { buffer, offset } = this.param(name);
            this.#device.queue.writeBuffer(buffer, offset, contents[i]);
        });
    }
}

function none(what, others) {
    for (const name in others) throw new TypeError(`${what} has no field \`${name}\``);
}

const list = names => (typeof names === 'string' ? [names] : names);

function push(specs, path, { config = {}, schedule = { Constant: 1 }, precision, clip, tensors, ...others }) {
    none(path, others);
    const clips = Object.entries(clip ?? {});
    if (clip && clips.length !== 1) throw new TypeError(`${path}.clip has ${clips.length} fields, but must have one`);
    const [variant, maxNorm] = clips[0] ?? [];
    const json = (field, value) => value && toRust(`${path}.${field}`, value);
    specs.push(
        json('config', config), json('schedule', schedule), json('precision', precision), variant, maxNorm, specsOf(tensors),
    );
}

function specsOf(tensors) {
    const specs = new Tensors();
    for (const { name, len, data, dtype = 'F32', gradDtype = dtype, gradScale = 1, ...others } of tensors) {
        if (typeof name !== 'string') throw new TypeError(`a tensor has the name ${name}, but must have a string`);
        none(`tensor \`${name}\``, others);
        if (len === undefined && data === undefined) throw new TypeError(`tensor \`${name}\`: it needs len or data`);
        specs.push(name, len ?? data.length, dtype, gradDtype, gradScale);
    }
    return specs;
}

// The bytes of a tensor's data: of numbers as 32-bit floats, which are rounded to a narrower dtype, or of bits in a
// Uint16Array.
function encoded({ name, dtype = 'F32', data, len = data?.length }) {
    if (data === undefined) return undefined;
    if (data.length !== len) {
        throw new TypeError(`tensor \`${name}\`: data has ${data.length} elements, but must have ${len}`);
    }
    if (Array.isArray(data)) data = Float32Array.from(data);
    if (data instanceof Float32Array) return dtype === 'F32' ? data : narrow(data, dtype === 'Bf16');
    if (!(data instanceof Uint16Array) || dtype === 'F32') {
        const bits = dtype === 'F32' ? '' : ', or a Uint16Array of bits';
        throw new TypeError(`tensor \`${name}\`: data must be a Float32Array or an array of numbers${bits}`);
    }
    // Writes to a buffer move whole units of 4 bytes.
    const padded = new Uint16Array(len + len % 2);
    padded.set(data);
    return padded;
}

// The variants of an enum begin with a capital, in Rust as here.
const isVariant = name => /^[A-Z]/.test(name);
const snake = name => (isVariant(name) ? name : name.replace(/[A-Z]/g, letter => '_' + letter.toLowerCase()));
const camel = name => (isVariant(name) ? name : name.replace(/_(.)/g, (_, letter) => letter.toUpperCase()));

const toRust = (what, value) => JSON.stringify(renamed(what, value, snake));

// Renames the properties of plain data. Numbers that JSON does not have are errors.
function renamed(path, value, rename) {
    if (typeof value === 'number' && !Number.isFinite(value)) {
        throw new TypeError(`${path} is ${value}, but must be finite`);
    }
    if (typeof value !== 'object' || value === null) return value;
    if (Array.isArray(value) || ArrayBuffer.isView(value)) {
        return Array.from(value, (item, i) => renamed(`${path}[${i}]`, item, rename));
    }
    return Object.fromEntries(
        Object.entries(value).map(([name, item]) => [rename(name), renamed(`${path}.${name}`, item, rename)]),
    );
}
