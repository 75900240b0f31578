// What the types allow and refuse. tsc checks it and nothing runs it.
import { Adam, requestDevice, type Config, type Schedule } from 'wgpu-adam';

const device: GPUDevice = await requestDevice({ powerPreference: 'high-performance', limits: 'adapter' });
const schedule: Schedule = { Sequence: [[0, { WarmUp: { steps: 10 } }], [10, { Cosine: { from: 1, to: 0, steps: 90 } }]] };
const adam: Adam = await Adam.create({
    device,
    groups: [
        { config: { lr: 3e-4, decay: { Decoupled: 0.01 } }, schedule, tensors: [{ name: 'w', len: 4096, dtype: 'Bf16' }] },
        { config: { variant: { AmsGrad: { ofCorrected: false } } }, tensors: [{ name: 'b', data: [1, 2, 3] }] },
    ],
    options: { clip: { GlobalNorm: 1 }, skipNonfinite: true, precision: { state: 'Bf16' }, lossScale: {} },
    usage: 0x20, // GPUBufferUsage.VERTEX, which the DOM library of TypeScript 7 does not have.
});
const { buffer, offset }: { buffer: GPUBuffer; offset: number } = adam.param('w');
const entry: GPUBindGroupEntry = { binding: 0, resource: adam.grad('w') };
adam.step();
await adam.setConfig(0, { beta2: 0.99 });
const config: Config = adam.config(0);
const norm: number | undefined = (await adam.report()).gradNorm;
const bytes: Uint8Array = await adam.state();
await adam.load(bytes);
console.log(buffer, offset, entry, config, norm, adam.lossScaleBuffer?.size);

// @ts-expect-error A tensor has a name.
await Adam.create({ groups: [{ tensors: [{ len: 1 }] }] });
// @ts-expect-error The name of Rust.
await adam.setConfig(0, { eps_root: 0 });
// @ts-expect-error No such variant.
await adam.setConfig(0, { variant: 'AdamW' });
// @ts-expect-error A constructor does not wait.
new Adam();
