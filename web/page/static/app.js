// The page: controls on one side, the program in wasm on the other.
import load, { Device, Digits, Race } from './page.js';
import { compare } from './bench.js';
import { Pad } from './pad.js';
import { Plot } from './plot.js';
import { Fit } from './splats.js';

const $ = id => document.getElementById(id);
const controls = $('controls').elements;
// Learning rates that suit a rule on these digits, as powers of ten.
const RATES = {
  adam: -2.3, amsgrad: -2.3, adamax: -2, nadam: -2.3, radam: -2.3, adabelief: -2.3, lion: -3, rmsprop: -2.6, centered: -3,
  adagrad: -1.6, sgd: -0.7,
};
const RUN = 250; // milliseconds that a run should take
const CHECK = 5000; // milliseconds from one comparison with the CPU to the next

const fixed = digits => number => number.toFixed(digits);
const three = number => Number(number.toPrecision(3)).toLocaleString('en');
const short = number => String(Number(number.toPrecision(1)));
const plots = {
  loss: new Plot($('loss'), [{ name: 'loss', color: '--r0' }], { log: true, low: 0.1, high: 2, format: short }),
  accuracy: new Plot($('accuracy'), [{ name: 'accuracy', color: '--r2' }], { low: 0, high: 100, top: 100, format: n => `${n.toFixed(0)} %` }),
  snr: new Plot($('snr'), [{ name: 'ratio', color: '--r3' }], { low: 0, high: 0.4, format: fixed(1) }),
  step: new Plot($('step'), [
    { name: 'paper’s bound', color: '--soft', dashed: true }, { name: 'largest', color: '--r1' }, { name: 'rms', color: '--r4' },
  ], { low: 0, high: 1, format: fixed(1) }),
};

let device = null, digits = null, race = null;
let running = false, steps = 4, victim = null, checked = 0, skipped = 0, rate = 0, seed = 0;

// The program does one thing at a time, in the order of the calls.
let queue = Promise.resolve();
const serial = work => {
  const done = queue.then(work);
  queue = done.catch(() => {});
  return done;
};

const say = (id, text, kind = '') => {
  $(id).textContent = text;
  $(id).className = [...$(id).classList].filter(name => !['good', 'bad'].includes(name)).concat(kind || []).join(' ');
};
const notice = text => {
  $('notice').hidden = !text;
  $('notice').textContent = text;
};

function settings() {
  return JSON.stringify({
    rule: controls.rule.value, lr: Number((10 ** controls.lr.value).toPrecision(3)), decay: Number(controls.decay.value),
    schedule: controls.schedule.value, moments: controls.moments.value,
  });
}

function show({ rule, lr, decay, schedule, moments }) {
  Object.assign(controls.rule, { value: rule });
  controls.lr.value = Math.log10(lr);
  controls.decay.value = decay;
  controls.schedule.value = schedule;
  controls.moments.value = moments;
  showRate();
}

function showRate() {
  $('lr-shown').textContent = Number((10 ** controls.lr.value).toPrecision(2));
  controls.lr.ariaValueText = $('lr-shown').textContent;
}

// What the browser tells about the adapter.
async function adapterInfo() {
  return (await navigator.gpu?.requestAdapter())?.info ?? {};
}
const adapterName = ({ description, vendor, architecture }) =>
  description || [vendor, architecture].filter(Boolean).join(' ') || 'a GPU';
const isSoftware = ({ isFallbackAdapter, architecture }) => isFallbackAdapter || architecture === 'swiftshader';

// Begins a training, on the GPU if there is one.
async function begin() {
  if (!device) {
    try {
      device = await Device.open();
    } catch (error) {
      notice(`${error.message} The network trains on the CPU instead, with the same results; the race, the fit and the measurements need a GPU.`);
    }
  }
  for (const id of ['race', 'bench', 'check']) $(id).disabled = !device;
  const info = await adapterInfo();
  $('adapter').textContent = device ? adapterName(info) : 'the CPU, in WebAssembly';
  fit.use(device, isSoftware(info)).catch(fail);
  say('badge', device ? 'not checked yet' : 'it is the CPU');
  const next = device ? await Digits.onGpu(device, settings(), seed) : Digits.onCpu(settings(), seed);
  digits?.free();
  digits = next;
  restart();
  return next;
}

function restart() {
  Object.values(plots).forEach(plot => plot.clear());
  for (const id of ['loss', 'accuracy', 'snr', 'step']) $(`${id}-now`).textContent = '';
  [checked, skipped, rate] = [0, 0, 0];
  $('progress').textContent = '';
}

// Says what went wrong. A lost GPU is given up, and the training begins again without it.
async function fail(error, faults = device?.takeFaults() ?? []) {
  const lost = faults.some(fault => fault.startsWith('The GPU was lost')) || /lost|destroyed/.test(error.message);
  pause();
  if (!lost) return notice([error.message ?? error, ...faults].join(' ').trim());
  stopRace();
  race = device = null;
  fit.use(null).catch(fail);
  digits = null;
  const why = faults.find(fault => fault.startsWith('The GPU was lost')) ?? error.message;
  $('adapter').textContent = 'the CPU, in WebAssembly';
  say('badge', 'it is the CPU');
  for (const id of ['race', 'bench', 'check']) $(id).disabled = true;
  digits = Digits.onCpu(settings(), seed);
  restart();
  notice(`${why} A new training is ready on the CPU. Reset tries the GPU again.`);
}

// Calls the program, and says what went wrong.
const attempt = work => serial(() => watch() ?? work()).catch(fail);

// The GPU may fail at any time, and not only in a call.
function watch() {
  const faults = device?.takeFaults() ?? [];
  if (faults.length) return fail(new Error(''), faults);
}
setInterval(watch, 1000);
addEventListener('error', event => {
  pause();
  notice(`The program has stopped: ${event.message} Reload the page.`);
});

function plot(run) {
  const first = run.t - run.losses.length;
  run.losses.forEach((loss, i) => plots.loss.add(Math.max(first + i + 1, 0), [loss]));
  plots.accuracy.add(run.t, [run.accuracy]);
  plots.snr.add(run.t, [run.snr]);
  plots.step.add(run.t, [run.paperBound, run.largestStep, run.rmsStep]);
  Object.values(plots).forEach(plot => plot.draw());
  const mean = run.losses.reduce((sum, loss) => sum + loss, 0) / run.losses.length;
  $('loss-now').textContent = mean.toPrecision(2);
  $('accuracy-now').textContent = `${run.accuracy.toFixed(1)} %`;
  // A skipped step has no measurements.
  if (run.rmsStep !== undefined) {
    $('snr-now').textContent = run.snr?.toFixed(2) ?? 'this rule has none';
    $('step-now').textContent = `rms ${run.rmsStep.toFixed(2)}`;
  }
  $('progress').textContent = `Step ${run.t}${run.skipped ? ` (${run.skipped} skipped)` : ''} · lr ${Number(run.lr.toPrecision(2))}`
    + ` · ${rate.toFixed(0)} steps/s · ${(run.bytes / 1024).toFixed(0)} KiB of state`;
}

// One run: some steps, and then what the plots show of them.
async function train(most = steps) {
  const poisoned = victim;
  victim = null;
  const start = performance.now();
  const run = await digits.run(most, poisoned ?? undefined);
  const ms = Math.max(performance.now() - start, 1), made = run.losses.length;
  rate = rate ? 0.8 * rate + 200 * made / ms : 1000 * made / ms;
  if (made === most) steps = Math.min(Math.max(Math.round(most * Math.min(Math.max(RUN / ms, 0.5), 2)), 2), 45);
  plot(run);
  if (run.skipped > skipped && poisoned) {
    say('poisoned', `Skipped: the gradient of ${run.culprit} is not finite. Parameters, moments and step count stayed as they were. The training goes on.`, 'good');
  }
  skipped = run.skipped;
  run.free();
}

async function check() {
  const check = await digits.check();
  checked = performance.now();
  if (!check) return;
  const numbers = check.numbers.toLocaleString('en');
  if (!check.different) {
    say('badge', 'bit-equal to the CPU', 'good');
    say('checked', `Step ${check.t}: all ${numbers} parameters and moments are equal to the last bit.`, 'good');
  } else if (check.share <= 1) {
    say('badge', 'equal to the CPU within rounding', 'good');
    say('checked', `Step ${check.t}: ${check.different.toLocaleString('en')} of ${numbers} numbers differ in their last bits. The largest difference uses ${(100 * check.share).toFixed(0)} % of the tolerance.`, 'good');
  } else {
    say('badge', 'differs from the CPU', 'bad');
    say('checked', `Step ${check.t}: ${check.different.toLocaleString('en')} of ${numbers} numbers differ, by up to ${check.share.toPrecision(2)} times the tolerance.`, 'bad');
  }
  check.free();
}

async function start() {
  running = true;
  $('start').textContent = 'Pause';
  say('status', 'Training.');
  while (running) {
    await attempt(() => running && train());
    if (device && running && performance.now() - checked > CHECK) await attempt(check);
    // Without a GPU nothing else lets the page be drawn.
    await new Promise(done => setTimeout(done));
  }
}

function pause() {
  running = false;
  $('start').textContent = 'Start';
}

$('start').onclick = () => {
  if (!running) return start();
  pause();
  say('status', 'Paused.');
};
$('reset').onclick = async () => {
  pause();
  seed++;
  notice('');
  await attempt(begin);
  say('status', 'A new network, with other random weights.');
};

// Controls act at once. Changes that arrive while one is under way become one change.
let changing = false;
async function change() {
  showRate();
  if (changing || !digits) return;
  changing = true;
  await attempt(async () => {
    changing = false;
    const name = controls.rule.selectedOptions[0].text;
    const fresh = await digits.change(settings());
    say('status', fresh
      ? `A new optimizer: ${name}, moments in ${controls.moments.selectedOptions[0].text}. The parameters stay; moments and step count start anew.`
      : `Changed in mid-run: ${name}, learning rate ${$('lr-shown').textContent}, schedule ${controls.schedule.selectedOptions[0].text}. Moments and step count stay.`);
    if (fresh) restart();
  });
}
controls.rule.onchange = () => {
  controls.lr.value = RATES[controls.rule.value];
  change();
};
controls.lr.oninput = controls.schedule.onchange = controls.decay.onchange = controls.moments.onchange = change;
$('controls').onsubmit = event => event.preventDefault();

$('poison').onclick = () => {
  victim = $('victim').value;
  if (!running) attempt(() => train(1));
};
$('check').onclick = () => attempt(check);

// Drawing.
const chances = [...Array(10).keys()].map(digit => {
  const bar = document.createElement('span');
  bar.textContent = digit;
  $('chances').append(bar);
  return bar;
});
let label = null, shown = 0;
const pad = new Pad($('pad'), pixels => {
  if (pixels && digits) attempt(async () => {
    const chance = [...await digits.read(Float32Array.from(pixels))], best = chance.indexOf(Math.max(...chance));
    chances.forEach((bar, digit) => {
      bar.style.setProperty('--p', chance[digit]);
      bar.classList.toggle('best', digit === best);
    });
    const answer = document.createElement('strong');
    answer.textContent = best;
    const rest = ` with ${(100 * chance[best]).toFixed(0)} %${label === null ? '' : `; its author wrote a ${label}`}`;
    $('answer').replaceChildren('Read as ', answer, rest);
  });
});
$('clear').onclick = () => {
  pad.clear();
  chances.forEach(bar => bar.style.setProperty('--p', 0));
  $('answer').textContent = 'Draw with a finger or a mouse.';
};
$('pad').addEventListener('pointerdown', () => label = null);
$('example').onclick = () => {
  const pixels = [...digits.heldOut(shown++)];
  label = pixels.pop();
  pad.show(pixels);
};

// Files.
async function open(file) {
  if (!file) return;
  const bytes = new Uint8Array(await file.arrayBuffer());
  pause();
  await serial(async () => {
    try {
      const saved = JSON.parse(await digits.load(bytes));
      show(saved);
      restart();
      say('kept', `${file.name} is loaded: rule ${controls.rule.selectedOptions[0].text}. Start goes on from there.`, 'good');
    } catch (error) {
      say('kept', `${file.name} is refused. ${error.message} Nothing has changed.`, 'bad');
    }
  });
}
$('save').onclick = () => attempt(async () => {
  const bytes = await digits.save();
  const link = document.createElement('a');
  link.href = URL.createObjectURL(new Blob([bytes], { type: 'application/octet-stream' }));
  link.download = 'wgpu-adam-digits.safetensors';
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  say('kept', `Saved: ${(bytes.length / 1024).toFixed(0)} KiB, with parameters, moments, step count and settings.`, 'good');
});
$('open').onchange = async event => {
  await open(event.target.files[0]);
  event.target.value = '';
};
// A file that is dropped on the fit is a picture, and elsewhere a training.
for (const type of ['dragenter', 'dragover', 'dragleave', 'drop']) {
  addEventListener(type, event => {
    event.preventDefault();
    const isPicture = $('fit-drop').contains(event.target), isOver = type === 'dragenter' || type === 'dragover';
    $('fit-drop').classList.toggle('over', isOver && isPicture);
    $('drop').classList.toggle('over', isOver && !isPicture);
    const [file] = type === 'drop' ? event.dataTransfer.files : [];
    if (file && isPicture) fit.open(file);
    if (file && !isPicture) open(file);
  });
}

// The race.
const dark = matchMedia('(prefers-color-scheme: dark)');
let racing = false, ended = Promise.resolve();
async function startRace() {
  $('race').disabled = true;
  racing = false;
  await ended;
  race?.free();
  race = null;
  say('race-status', 'Compiling …');
  const canvas = $('field'), scale = Math.min(devicePixelRatio || 1, 2);
  canvas.width = canvas.clientWidth * scale;
  canvas.height = canvas.clientHeight * scale;
  await attempt(async () => {
    race = await Race.begin(device, canvas, Number($('landscape').value), Number($('points').value), dark.matches);
  });
  $('race').disabled = !device;
  if (!race) return say('race-status', '');
  $('stage').classList.remove('empty');
  $('race').textContent = 'Stop';
  racing = true;
  ended = run(race).catch(fail);
}
async function run(race) {
  for (let frames = 0, since = performance.now(); racing; frames++) {
    await race.frame(1);
    if (frames % 20 === 19) {
      const now = performance.now();
      say('race-status', `${(20000 / (now - since)).toFixed(0)} steps and frames a second`);
      since = now;
    }
    await new Promise(requestAnimationFrame);
  }
}
// The picture stays.
async function stopRace() {
  if (!racing) return;
  racing = false;
  $('race').textContent = 'Race';
  await ended;
  say('race-status', 'Stopped.');
}
$('race').onclick = () => racing ? stopRace() : startRace();
$('landscape').onchange = $('points').onchange = () => racing && startRace();
dark.addEventListener('change', () => racing && startRace());

// The fit of a picture.
const fit = new Fit({ say, attempt, fail });

// The measurements.
$('bench').onclick = async () => {
  pause();
  await stopRace();
  await fit.pause();
  $('bench').disabled = true;
  $('times').replaceChildren();
  say('bench-status', 'Measuring …');
  await attempt(async () => {
    for await (const rows of compare(device, $('tfjs').checked)) {
      rows.forEach(({ shape, name, ms, bytes, ratio }) => {
        const row = $('times').insertRow(), head = document.createElement('th');
        Object.assign(head, { scope: 'row', textContent: `${shape}, ${name}` });
        row.append(head);
        for (const text of [`${three(ms)} ms`, bytes.toLocaleString('en'), ratio ? `${three(ratio)} times` : '']) row.insertCell().textContent = text;
      });
    }
    say('bench-status', 'Medians of five rounds, in turn.');
  });
  $('bench').disabled = !device;
};

showRate();
for (const id of ['start', 'reset', 'poison', 'check', 'save', 'example', 'race', 'bench', 'fit-start', 'fit-restart', 'fit-file']) $(id).disabled = true;
// The browser starts its GPU process while the wasm is compiled. Whether there is an adapter, the program finds out.
navigator.gpu?.requestAdapter().catch(() => {});
try {
  await load({ module_or_path: new URL('page_bg.wasm', import.meta.url) });
  await begin();
  for (const name of digits.tensors()) $('victim').add(new Option(name));
  for (const id of ['start', 'reset', 'poison', 'save', 'example']) $(id).disabled = false;
  say('status', 'Ready. Press Start.');
} catch (error) {
  notice(`The page cannot start: ${error.message}`);
  say('status', '');
}
