// Tests that run in a page. Each is a sentence and throws if it is not true.
import { Adam, requestDevice } from 'wgpu-adam';

const assert = (right, message) => { if (!right) throw new Error(message); };
const equal = (given, need, what = 'result') => {
    const text = value => JSON.stringify(ArrayBuffer.isView(value) ? Array.from(value) : value);
    assert(text(given) === text(need), `${what} is ${text(given)}, but must be ${text(need)}`);
};
async function rejects(act, message) {
    const error = await (async () => act())().then(() => null, error => error);
    assert(error instanceof Error, `${message}: there was no error`);
    assert(error.message.includes(message), `the error is "${error.message}", but must contain "${message}"`);
}

const device = await requestDevice();
const create = (tensors, options = {}, config = {}) => Adam.create({ device, groups: [{ config, tensors }], options });
const fill = (adam, name, values) => {
    const { buffer, offset } = adam.grad(name);
    device.queue.writeBuffer(buffer, offset, Float32Array.from(values));
};

// What the crate says when a name is wrong: "unknown field `x`, expected one of `lr`, …".
export async function expected() {
    const given = [
        { config: { x: 0 } }, { config: { decay: 'x' } }, { config: { variant: 'x' } }, { schedule: 'x' },
        { precision: { x: 0 } }, { precision: { state: 'x' } }, { precision: { stateRounding: 'x' } }, { precision: { master: 'x' } },
        { options: { x: 0 } }, { options: { clip: 'x' } }, { options: { lossScale: { x: 0 } } },
    ];
    return Promise.all(given.map(({ options, ...group }) =>
        Adam.create({ device, groups: [{ ...group, tensors: [{ name: 'w', len: 1 }] }], options }).catch(error => error.message)));
}

export const tests = {
    async 'the first step of Adam is the learning rate in each direction'() {
        const adam = await create([{ name: 'w', data: [1, 2, 3] }], {}, { lr: 0.5 });
        fill(adam, 'w', [10, -0.001, 0]);
        adam.step();
        const w = await adam.read('w');
        assert(Math.abs(w[0] - 0.5) < 1e-6 && Math.abs(w[1] - 2.5) < 1e-5 && w[2] === 3, `w is ${w}`);
    },

    async 'tensors share a buffer, begin where bindings may, and keep apart'() {
        const adam = await create([{ name: 'a', data: [1, 2, 3] }, { name: 'b', data: [4, 5] }, { name: 'c', len: 70 }]);
        const places = ['a', 'b', 'c'].map(name => adam.param(name));
        assert(places.every(({ buffer }) => buffer === places[0].buffer), 'the buffers differ');
        equal(places.map(({ offset, size, len }) => [offset, size, len]), [[0, 12, 3], [256, 8, 2], [512, 280, 70]]);
        equal(adam.names, ['a', 'b', 'c']);
        equal(adam.dispatches, 2);
        equal(await adam.read('b'), [4, 5]);
        equal(await adam.read('c'), Array(70).fill(0));
        assert(adam.device === device && places[0].buffer instanceof GPUBuffer, 'not a GPUBuffer of the device');
    },

    async 'parameters of 16 bits are rounded, or taken as bits, also of an odd length'() {
        const values = [1, -2.5, 3.14159];
        const adam = await create([
            { name: 'bf16', data: values, dtype: 'Bf16', gradDtype: 'F32' },
            { name: 'f16', data: Float32Array.from(values), dtype: 'F16' },
            { name: 'bits', data: Uint16Array.of(0x3c00, 0xc000, 0x7bff), dtype: 'F16' },
        ]);
        equal(await adam.read('bf16'), [1, -2.5, 3.140625]);
        equal(await adam.read('f16'), [1, -2.5, 3.140625]);
        equal(await adam.read('bits'), [1, -2, 65504]);
        equal([adam.param('bf16').size, adam.grad('bf16').dtype, adam.grad('f16').dtype], [8, 'F32', 'F16']);
        adam.write('bits', [0.5, 0.25, 0.125]);
        equal(await adam.read('bits'), [0.5, 0.25, 0.125]);
    },

    async 'a run that is saved and loaded goes on with the same bits'() {
        const data = Array.from({ length: 100 }, (_, i) => Math.sin(i));
        const go = (adam, from, to) => {
            for (let i = from; i < to; i++) {
                fill(adam, 'w', data.map((_, k) => Math.cos(k * i)));
                adam.step();
            }
        };
        const whole = await create([{ name: 'w', data }]);
        go(whole, 0, 10);
        const first = await create([{ name: 'w', data }]);
        go(first, 0, 5);
        const bytes = await first.state();
        assert(bytes instanceof Uint8Array, 'the state is not a Uint8Array');
        const second = await create([{ name: 'w', data: await first.read('w') }]);
        await second.load(bytes);
        go(second, 5, 10);
        equal(await second.read('w'), await whole.read('w'));
        equal((await second.report()).t, 10);
        equal((await second.state()).length, bytes.length);
    },

    async 'a state that a native program saved is loaded, and saved again as the same bytes'() {
        const file = new Uint8Array(await (await fetch('/native.safetensors')).arrayBuffer());
        const config = { variant: { Sgd: { momentum: 0.9, dampening: 0, nesterov: true } } };
        const adam = await create([{ name: 'w', len: 512 }], {}, config);
        await adam.load(file);
        equal((await adam.report()).t, 50);
        equal(await adam.state(), file);
        file[file.length - 1] ^= 1;
        await rejects(() => adam.load(file), 'the checksum is');
    },

    async 'changes in mid-run apply, and wait for errors'() {
        const adam = await create([{ name: 'w', data: [0] }, { name: 'still', data: [0] }], {}, { lr: 1, eps: 0 });
        const step = async () => {
            for (const name of adam.names) fill(adam, name, [-1]);
            adam.step();
            return (await adam.read('w'))[0];
        };
        equal(await step(), 1);
        await adam.setLr(0, 0.5);
        equal(await step(), 1.5);
        await adam.setConfig(0, { maximize: true, paramMin: 1.25 });
        equal([adam.config(0).lr, adam.config(0).maximize, adam.config(0).biasCorrection], [0.5, true, true]);
        await adam.setConfig(0, { maximize: false, paramMin: null });
        await adam.setSchedule(0, { Constant: 0 });
        equal(await step(), 1.5);
        await adam.setSchedule(0, { Sequence: [[0, { Constant: 1 }], [1, { Table: { values: Float32Array.of(0.5), every: 1, interpolate: false } }]] });
        await adam.setActive('still', false);
        const still = await adam.read('still');
        equal(await step(), 1.75);
        equal(await adam.read('still'), still);
        await adam.add(0, [{ name: 'late', data: [7] }]);
        equal(await adam.read('late'), [7]);
        await adam.remove('still');
        await adam.reset(['w']);
        equal(adam.names, ['w', 'late']);
        equal((await adam.report()).t, 4);
    },

    async 'a call during a change is an error, and the optimizer is there afterwards'() {
        const adam = await create([{ name: 'w', data: [0] }]);
        const change = adam.setLr(0, 0.5);
        await rejects(() => adam.step(), 'await its promise first');
        await change;
        adam.step();
        equal(adam.config(0).lr, 0.5);
    },

    async 'a gradient that is not finite is skipped and named'() {
        const adam = await create([{ name: 'good', data: [1] }, { name: 'bad', data: [1] }], { lossScale: {}, clip: { GlobalNorm: 1 } });
        fill(adam, 'bad', [NaN]);
        adam.step();
        const report = await adam.report();
        equal([report.t, report.skipped, report.skippedInARow, report.lastSkipped, report.nonfiniteTensor], [0, 1, 1, true, 'bad']);
        assert(Number.isNaN(report.gradNorm), `the norm is ${report.gradNorm}`);
        equal([report.lossScale, adam.lossScaleBuffer.size], [32768, 16]);
        fill(adam, 'bad', [3 * 32768]);
        fill(adam, 'good', [4 * 32768]);
        adam.step();
        const { t, gradNorm, clipCoef, groups, nonfiniteTensor } = await adam.report();
        equal([t, gradNorm, groups[0].t, nonfiniteTensor], [1, 5, 1, 'bad']);
        assert(Math.abs(clipCoef - 0.2) < 1e-6, `the factor is ${clipCoef}`);
    },

    async 'the bytes of the state are those of the formats'() {
        const adam = await create([{ name: 'w', len: 8192, dtype: 'Bf16' }], { precision: { state: 'Bf16', master: 'Remainder' } });
        const { m, v, remainder, master, small, total } = adam.memoryUse();
        equal([m, v, remainder, master], [16384, 16384, 16384, 0]);
        equal(total, m + v + remainder + small);
        equal((await create([{ name: 'w', len: 1 }])).lossScaleBuffer, undefined);
    },

    async 'mistakes are errors in words, and name the place'() {
        const w = { name: 'w', data: [0] };
        await rejects(() => create([w], {}, { lr: -1 }), 'group 0: lr is -1, but must be finite');
        await rejects(() => create([w], {}, { lr: NaN }), 'groups[0].config.lr is NaN');
        await rejects(() => create([w], {}, { betas: [0.9] }), 'groups[0].config.betas: unknown field `betas`');
        await rejects(() => create([w], {}, { variant: 'AdamW' }), 'groups[0].config.variant: unknown variant `AdamW`');
        await rejects(() => create([w], { clip: { GlobalNorm: 'big' } }), 'options.clip.GlobalNorm: invalid type');
        await rejects(() => create([w, w]), 'tensor `w`: the name is used twice');
        await rejects(() => create([]), 'no tensors were given');
        await rejects(() => create([{ name: 'w' }]), 'tensor `w`: it needs len or data');
        await rejects(() => create([{ len: 1 }]), 'a tensor has the name undefined');
        await rejects(() => create([{ name: 'w', len: 0 }]), 'length 0');
        await rejects(() => create([{ name: 'w', len: 1.5 }]), 'tensor `w`: len is 1.5, but must be a whole number');
        await rejects(() => create([{ name: 'w', len: 2 ** 40 }]), 'maxBufferSize');
        await rejects(() => create([{ ...w, len: 2 }]), 'data has 1 elements, but must have 2');
        await rejects(() => create([{ ...w, shape: [1] }]), 'tensor `w` has no field `shape`');
        await rejects(() => create([{ ...w, dtype: 'I32' }]), 'tensor `w`: dtype is I32, but must be F32, F16 or Bf16');
        await rejects(() => create([{ name: 'w', data: Uint16Array.of(0) }]), 'data must be a Float32Array');
        await rejects(() => Adam.create({ device, groups: [{ tensors: [w], clip: { Group: 0 } }] }), 'group 0: clip is 0');
        await rejects(() => Adam.create({ device, groups: [{ tensors: [w], clip: { All: 1 } }] }), 'groups[0].clip: unknown variant `All`');
        await rejects(() => Adam.create({ device, groups: [{ tensors: [w], lr: 1 }] }), 'groups[0] has no field `lr`');
        await rejects(() => Adam.create({ device, groups: [], optins: {} }), 'create has no field `optins`');
        await rejects(() => requestDevice({ requiredFeatures: ['magic'] }), 'magic');
        await rejects(() => requestDevice({ limits: 'none' }), 'limits: none was given, but must be webgpu or adapter');
        const other = await (await navigator.gpu.requestAdapter()).requestDevice();
        await rejects(() => Adam.create({ device: other, groups: [{ tensors: [w] }] }), 'requestDevice()');

        const adam = await create([w]);
        await rejects(() => adam.param('x'), 'tensor `x` does not exist');
        await rejects(() => adam.setLr(0, -1), 'lr is -1');
        await rejects(() => adam.setLr(0, Infinity), 'lr is inf');
        await rejects(() => adam.setLr(3, 1), 'group 3 does not exist');
        await rejects(() => adam.config(3), 'group 3 does not exist');
        await rejects(() => adam.setConfig(0, { variant: 'Lion' }), 'group 0');
        await rejects(() => adam.setSchedule(0, { WarmUp: { steps: 0 } }), 'schedule.steps is 0');
        await rejects(() => adam.setSchedule(0, { WarmUp: { stops: 5 } }), 'schedule.WarmUp.stops: unknown field');
        await rejects(() => adam.setActive(['w', 'x'], false), 'tensor `x` does not exist');
        await rejects(() => adam.load(Uint8Array.of(1, 2, 3)), 'safetensors');
        await rejects(() => adam.write('w', [1, 2]), 'data has 2 elements, but must have 1');
        equal(adam.config(0).lr, 0.001);
        adam.step();
        equal((await adam.report()).t, 1);
    },

    async 'without WebGPU or without an adapter, the error says so'() {
        const { gpu } = navigator;
        for (const [value, message] of [[undefined, 'there is no WebGPU here'], [{ requestAdapter: async () => null }, 'WebGPU found no adapter']]) {
            Object.defineProperty(navigator, 'gpu', { value, configurable: true });
            await rejects(() => requestDevice(), message).finally(() => delete navigator.gpu);
        }
        equal(navigator.gpu === gpu, true);
    },

    async 'gradients are zeroed, and may be integers with a unit'() {
        const tensors = [{ name: 'w', data: [1], gradDtype: 'I32', gradScale: 0.25 }];
        const adam = await create(tensors, { zeroGrad: true }, { lr: 1, variant: { Sgd: { momentum: 0, dampening: 0, nesterov: false } } });
        const { buffer, offset, dtype } = adam.grad('w');
        device.queue.writeBuffer(buffer, offset, Int32Array.of(-6));
        adam.step();
        adam.step();
        equal([...await adam.read('w'), dtype], [2.5, 'I32']);
    },

    async 'Schedule-Free has parameters for training and for evaluation'() {
        const adam = await create([{ name: 'w', data: [1] }], {}, { lr: 0.5, variant: 'ScheduleFree' });
        for (const grad of [1, 1]) {
            const { buffer, offset } = adam.grad('w');
            device.queue.writeBuffer(buffer, offset, Float32Array.of(grad));
            adam.step();
        }
        const [trained] = await adam.read('w');
        adam.evalMode();
        adam.step();
        // z was 0.5 and is 0. The average x is 0.25, and y is 0.9*x + 0.1*z.
        const [average] = await adam.read('w');
        assert(Math.abs(trained - 0.225) < 1e-5 && Math.abs(average - 0.25) < 1e-5, `${trained}, ${average}`);
        const { t, skipped, evaluating } = await adam.report();
        equal([t, skipped, evaluating], [2, 1, true]);
        adam.trainMode();
        assert(Math.abs((await adam.read('w'))[0] - 0.225) < 1e-5, 'the way back');
    },

    async 'two optimizers share a device, and freeing one leaves its buffers'() {
        const [one, two] = [await create([{ name: 'w', data: [5] }]), await create([{ name: 'w', data: [6] }])];
        const { buffer } = one.param('w');
        one.free();
        two.step();
        const encoder = device.createCommandEncoder();
        encoder.copyBufferToBuffer(buffer, 0, two.param('w').buffer, 0, 4);
        device.queue.submit([encoder.finish()]);
        equal(await two.read('w'), [5]);
    },

    async 'a device with all limits of its adapter and more usages of buffers'() {
        const adapter = await navigator.gpu.requestAdapter();
        const device = await requestDevice({ limits: 'adapter', label: 'mine', requiredFeatures: [...adapter.features].filter(name => name === 'shader-f16') });
        equal([device.limits.maxBufferSize, device.label], [adapter.limits.maxBufferSize, 'mine']);
        equal(device.features.has('shader-f16'), adapter.features.has('shader-f16'));
        const adam = await Adam.create({ device, groups: [{ tensors: [{ name: 'w', len: 4 }] }], usage: GPUBufferUsage.VERTEX });
        assert(adam.param('w').buffer.usage & GPUBufferUsage.VERTEX, 'the usage is missing');
    },

    async 'a lost device is an error in words'() {
        const device = await requestDevice();
        const adam = await Adam.create({ device, groups: [{ tensors: [{ name: 'w', len: 4 }] }] });
        device.destroy();
        await device.lost;
        await rejects(() => adam.report(), 'reading back the report failed');
    },
};
