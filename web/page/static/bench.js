// Measures a step of Adam: ours, and that of TensorFlow.js, whose files are loaded when they are asked for.
import { Bench } from './page.js';

// What both can do: make `steps` steps and wait for the GPU, tell the bytes of state, and be freed.
async function ours(device, { moments = 'f32', tensors, elements, arena = false }) {
  const bench = await Bench.create(device, moments, tensors, elements, arena);
  return { steps: steps => bench.steps(steps), bytes: () => bench.bytes(), free: () => bench.destroy() };
}

let loaded;
async function load() {
  await import('./tfjs/tf-core.es2017.min.js');
  await import('./tfjs/tf-backend-webgpu.es2017.min.js');
  await tf.setBackend('webgpu');
  await tf.ready();
}

let made = 0;
async function tfjs({ tensors, elements }) {
  await (loaded ??= load().catch(error => {
    loaded = undefined; // The next call tries again.
    throw error;
  }));
  const optimizer = tf.train.adam(), run = made++, grads = {}, backend = tf.backend();
  const variables = Array.from({ length: tensors }, (_, i) => {
    const name = `bench ${run} ${i}`;
    grads[name] = tf.ones([elements]);
    return tf.variable(tf.zeros([elements]), true, name);
  });
  const steps = async steps => {
    for (let i = 0; i < steps; i++) optimizer.applyGradients(grads);
    backend.endComputePassEncoder();
    backend.submitQueue();
    await backend.device.queue.onSubmittedWorkDone();
  };
  const before = tf.memory().numBytes;
  await steps(1);
  const bytes = tf.memory().numBytes - before;
  return {
    steps,
    bytes: () => bytes,
    free: () => {
      tf.dispose([variables, grads]);
      optimizer.dispose();
    },
  };
}

const median = numbers => [...numbers].sort((a, b) => a - b)[numbers.length >> 1];

// Measures all in turn, and returns for each the milliseconds of a step in each round.
async function measure(contestants, rounds = 5, ms = 100) {
  const timed = async ({ steps }, count) => {
    const start = performance.now();
    await steps(count);
    return (performance.now() - start) / count;
  };
  // The first steps are slow, since the driver finishes the kernels. The next say how many make a round.
  const counts = [];
  for (const each of contestants) {
    await each.steps(2);
    counts.push(Math.min(Math.max(Math.round(ms / Math.max(await timed(each, 2), 0.01)), 1), 400));
  }
  const times = contestants.map(() => []);
  for (let round = 0; round < rounds; round++) {
    for (const [i, each] of contestants.entries()) times[i].push(await timed(each, counts[i]));
  }
  return times;
}

// What is measured, and the options of each contestant of ours.
const SHAPES = [
  ['1 tensor of 1,048,576', { tensors: 1, elements: 1 << 20 }, [
    ['moments in f32', {}], ['moments in bf16', { moments: 'bf16' }], ['moments in 8 bits', { moments: 'block8' }],
  ]],
  ['1,000 tensors of 1,000', { tensors: 1000, elements: 1000 }, [['in one buffer', { arena: true }], ['separately allocated', {}]]],
];

// Yields for each shape a row for each contestant: the median time of a step in milliseconds, the bytes of state, and how
// many times as long a step of TensorFlow.js takes, as the median over the rounds.
export async function* compare(device, withTfjs) {
  for (const [shape, size, variants] of SHAPES) {
    const names = variants.map(([name]) => name), contestants = [];
    try {
      for (const [, options] of variants) contestants.push(await ours(device, { ...size, ...options }));
      if (withTfjs) {
        names.push('TensorFlow.js');
        contestants.push(await tfjs(size));
      }
      const times = await measure(contestants), last = times.at(-1);
      yield contestants.map((each, i) => ({
        shape, name: names[i], ms: median(times[i]), bytes: each.bytes(),
        ratio: withTfjs ? median(times[i].map((ms, round) => last[round] / ms)) : undefined,
      }));
    } finally {
      contestants.forEach(each => each.free());
    }
  }
}
