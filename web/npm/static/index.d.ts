/** The format of elements. Gradients may also be `I32`. */
export type Dtype = 'F32' | 'F16' | 'Bf16';

/**
 * The weight decay: coupled as in Adam with L2, decoupled as in AdamW, cautious, or corrected as in AdamC. Default:
 * `'None'`.
 */
export type Decay = 'None' | { L2: number } | { Decoupled: number } | { Cautious: number } | { Corrected: number };

/** The update rule. Default: `'Adam'`, which is AdamW with `decay: { Decoupled: … }`. */
export type Variant =
    | 'Adam'
    | 'AdaMax'
    | 'AdaBelief'
    | 'LaProp'
    | 'Adopt'
    | 'ScheduleFree'
    | 'Lamb'
    | 'Stable'
    | 'Cautious'
    | 'Lion'
    | { AmsGrad: { ofCorrected: boolean } }
    | { NAdam: { momentumDecay?: number | null } }
    | { RAdam: { epsOnRaw: boolean } }
    | {
          RmsProp: {
              momentum: number;
              nesterov: boolean;
              lrInMomentum: boolean;
              initial: number;
              centered?: boolean;
          };
      }
    | { AdEmaMix: { beta3: number; alpha: number; warmup: number } }
    | { AdaGrad: { lrDecay: number; initial: number } }
    | { Sgd: { momentum: number; dampening: number; nesterov: boolean } };

/** The hyperparameters of a group. A field that the variant does not use must keep its default. */
export interface Config {
    /** The learning rate. Default: 1e-3. */
    lr: number;
    /** The decay rate of the first moment. Default: 0.9. */
    beta1: number;
    /** The decay rate of the second moment. Default: 0.999. */
    beta2: number;
    /** Added to the divisor, outside the square root. Default: 1e-8. */
    eps: number;
    /** Added inside the square root. Default: 0. */
    epsRoot: number;
    /** Default: true. */
    biasCorrection: boolean;
    variant: Variant;
    decay: Decay;
    /** Ascends instead of descending. Default: false. */
    maximize: boolean;
    /** The lower bound of the parameters. Default: none. */
    paramMin?: number | null;
    /** The upper bound of the parameters. Default: none. */
    paramMax?: number | null;
}

/** A factor of the learning rate over the steps of a group, evaluated on the device. Default: `{ Constant: 1 }`. */
export type Schedule =
    | { Constant: number }
    | { WarmUp: { steps: number } }
    | { Linear: { from: number; to: number; steps: number } }
    | { Cosine: { from: number; to: number; steps: number } }
    | { CosineRestarts: { from: number; to: number; steps: number; growth: number } }
    | { Exponential: { rate: number; every: number } }
    | { Step: { rate: number; every: number } }
    | { Polynomial: { from: number; to: number; power: number; steps: number } }
    | { OneCycle: { from: number; to: number; up: number; down: number } }
    | { InverseSqrt: { timescale: number } }
    /** Schedules, each with the number of steps after which it takes over. The first begins at 0. */
    | { Sequence: [begin: number, schedule: Schedule][] }
    | { Table: { values: ArrayLike<number>; every: number; interpolate: boolean } };

/** The formats of the state, and additional bits of 16-bit parameters. Default: all in f32. */
export interface Precision {
    /** The format of the moments. Default: `'F32'`. */
    state: 'F32' | 'Bf16' | 'Block8';
    /** Moments of shorter tensors stay in f32. Default: 4096 elements. */
    stateMinLen: number;
    /** Default: `'Stochastic'`. */
    stateRounding: 'Nearest' | 'Stochastic';
    /** Default: `'Nearest'`. */
    paramRounding: 'Nearest' | 'Stochastic';
    /** Default: `'None'`. */
    master: 'None' | 'F32' | 'Remainder';
    /** The seed of stochastic rounding. Default: 0. */
    seed: number;
}

/** A dynamic loss scale on the device, as PyTorch's `GradScaler`. */
export interface LossScale {
    /** Default: 65536. */
    initial: number;
    /** Default: 2. */
    growthFactor: number;
    /** Default: 0.5. */
    backoffFactor: number;
    /** Default: 2000 steps. */
    growthInterval: number;
}

/** Options of a whole optimizer. */
export interface Options {
    /** Clips by the global norm of all gradients, or each gradient by its magnitude. Default: `'None'`. */
    clip: 'None' | { GlobalNorm: number } | { Value: number };
    /** Skips a step whose gradients are not finite. Default: false. */
    skipNonfinite: boolean;
    /** Applies the step after so many skipped ones. Default: no limit. */
    maxSkippedInARow?: number | null;
    /** Sets the gradients to zero after they are read. Default: false. */
    zeroGrad: boolean;
    /** A step on each `accumulate`-th call, with the mean of the gradients. Default: each call steps. */
    accumulate?: number | null;
    /** For optimizers in several processes, which Rust has. It changes nothing here. Default: false. */
    shareNorm?: boolean;
    precision: Partial<Precision>;
    /** `{}` has the defaults. Default: none. */
    lossScale?: Partial<LossScale> | null;
}

/** A named tensor. It has a length and no shape, since the update is elementwise. */
export interface Tensor {
    /** Unique in the optimizer. */
    name: string;
    /** The number of elements. May be left out if there is `data`. */
    len?: number;
    /**
     * The initial parameters: numbers, which are rounded to the dtype, or the bits of 16-bit numbers in a `Uint16Array`.
     * Default: zeros.
     */
    data?: Float32Array | Uint16Array | number[];
    /** The format of the parameters. Default: `'F32'`. */
    dtype?: Dtype;
    /** The format of the gradients. Default: that of the parameters. */
    gradDtype?: Dtype | 'I32';
    /** The value of 1 in a gradient of `'I32'`. Default: 1. */
    gradScale?: number;
}

/** Tensors that share a configuration. */
export interface Group {
    config?: Partial<Config>;
    tensors: Tensor[];
    schedule?: Schedule;
    /** Default: that of the options. */
    precision?: Partial<Precision>;
    /** Clips by the norm of the group's gradients, or by that of each tensor. Default: none. */
    clip?: { Group: number } | { Tensor: number };
}

/** The place of a tensor's parameters or gradients. It can be the `resource` of a bind group. */
export interface TensorBinding extends GPUBufferBinding {
    buffer: GPUBuffer;
    /** In bytes: a multiple of `minStorageBufferOffsetAlignment`. */
    offset: number;
    /** In bytes: a multiple of 4. */
    size: number;
    dtype: Dtype | 'I32';
    /** The number of elements. */
    len: number;
}

/** The outcome of the last step, and the counts since the start. */
export interface Report {
    /** The number of applied steps. */
    t: number;
    /** The number of skipped steps. */
    skipped: number;
    skippedInARow: number;
    lastSkipped: boolean;
    /** Whether the parameters are those for evaluation: see `evalMode`. */
    evaluating: boolean;
    /** The name of a tensor with a non-finite gradient in the last skipped step. */
    nonfiniteTensor?: string;
    /** The norm of all gradients before clipping, if the options need it. */
    gradNorm?: number;
    clipCoef: number;
    /** The loss scale of the next step. */
    lossScale?: number;
    groups: { t: number; lr: number }[];
}

/** The bytes of device memory that an optimizer holds beside parameters and gradients. */
export interface MemoryUse {
    m: number;
    v: number;
    vMax: number;
    gradAvg: number;
    master: number;
    remainder: number;
    small: number;
    total: number;
}

export interface DeviceDescriptor {
    label?: string;
    powerPreference?: GPUPowerPreference;
    /** The features of the device, such as `'shader-f16'`. No optimizer needs one. */
    requiredFeatures?: GPUFeatureName[];
    /** The limits of the device: those that WebGPU guarantees, or the best of the adapter. Default: `'webgpu'`. */
    limits?: 'webgpu' | 'adapter';
}

/** Makes a device that an {@link Adam} can use. wgpu takes no other. */
export function requestDevice(descriptor?: DeviceDescriptor): Promise<GPUDevice>;

/** An optimizer. */
export class Adam {
    private constructor();

    /**
     * Makes an optimizer with buffers for its parameters and gradients.
     *
     * `device` comes from {@link requestDevice}; by default it is a new one. `usage` is added to the usages of the buffers,
     * which are `STORAGE`, `COPY_SRC` and `COPY_DST`.
     */
    static create(descriptor: {
        device?: GPUDevice;
        groups: Group[];
        options?: Partial<Options>;
        usage?: GPUBufferUsageFlags;
    }): Promise<Adam>;

    readonly device: GPUDevice;
    /** The names of all tensors. */
    readonly names: string[];
    /** The number of dispatches of a step. */
    readonly dispatches: number;
    /** 16 bytes, of which the first four are the loss scale as an f32. Shaders may read it: `var<uniform> scale: f32`. */
    readonly lossScaleBuffer: GPUBuffer | undefined;

    /** The parameters of a tensor. */
    param(name: string): TensorBinding;
    /** The gradients of a tensor, which your backward pass writes. */
    grad(name: string): TensorBinding;

    /** Submits a step to the queue of the device. It uses the gradients that earlier submissions wrote. */
    step(): void;
    /** Makes the parameters of Schedule-Free groups those for evaluation, in place. Steps are skipped until `trainMode`. */
    evalMode(): void;
    /** Makes the parameters of Schedule-Free groups those for training again. */
    trainMode(): void;

    /** Writes the parameters of a tensor. */
    write(name: string, data: Float32Array | Uint16Array | number[]): void;
    /** Reads the parameters of a tensor as 32-bit floats. */
    read(name: string): Promise<Float32Array>;

    /** The configuration of a group, counted from 0. */
    config(group: number): Config;
    /** Sets the learning rate of a group, which its schedule multiplies. */
    setLr(group: number, lr: number): Promise<void>;
    /** Changes fields of a group's configuration. The others keep their values. The rule cannot change. */
    setConfig(group: number, change: Partial<Config>): Promise<void>;
    setSchedule(group: number, schedule: Schedule): Promise<void>;
    /** Sets whether tensors take part in the steps. */
    setActive(names: string | string[], active: boolean): Promise<void>;

    /** Adds tensors to a group. Their moments and their steps start at zero. */
    add(group: number, tensors: Tensor[]): Promise<void>;
    /** Removes tensors. Their buffers stay valid as long as you use them. */
    remove(names: string | string[]): Promise<void>;
    /** Restarts the moments and the steps of tensors. */
    reset(names: string | string[]): Promise<void>;

    /** Reads the report of the last step. */
    report(): Promise<Report>;
    memoryUse(): MemoryUse;

    /** Reads the state as a safetensors file. Parameters are not part of it. */
    state(): Promise<Uint8Array>;
    /** Loads a state. The run goes on exactly from there. */
    load(bytes: Uint8Array | ArrayBuffer): Promise<void>;

    /** Frees the optimizer. Buffers that you hold stay valid. */
    free(): void;
}
