// Fits a picture by Gaussians. The section has a canvas for the picture, and one that the program draws on.
import { Splats } from './page.js';

const FRAME = 30; // milliseconds that a frame should take
const MOST = 4; // steps of a frame, so that the eye can follow
const MEASURE = 400; // milliseconds from one score to the next
const BUNDLED = 'astronaut-256.png';

const $ = id => document.getElementById(`fit-${id}`);

// Draws an image on a canvas, whose longer side then has at most `most` pixels, and returns the pixels.
function draw(image, canvas, most) {
  const scale = Math.min(1, most / Math.max(image.width, image.height));
  [canvas.width, canvas.height] = [image.width, image.height].map(side => Math.max(1, Math.round(scale * side)));
  const { width, height } = canvas, context = canvas.getContext('2d', { willReadFrequently: true });
  context.imageSmoothingQuality = 'high';
  context.fillStyle = '#fff';
  context.fillRect(0, 0, width, height);
  context.drawImage(image, 0, 0, width, height);
  return context.getImageData(0, 0, width, height).data;
}

export class Fit {
  // `say` sets a text. `attempt` calls the program and says what went wrong; `fail` only says it.
  constructor({ say, attempt, fail }) {
    Object.assign(this, { say, attempt, fail, device: null, image: null, splats: null, applied: 0, seed: 0, done: false, visible: true, running: false });
    this.turn = this.ended = Promise.resolve();
    $('start').onclick = () => this.running ? this.pause() : this.start();
    $('restart').onclick = () => this.start(true);
    $('size').onchange = $('moments').onchange = () => this.splats ? this.start(true) : this.show();
    $('lr').oninput = () => this.showRate();
    $('file').onchange = async event => {
      await this.open(event.target.files[0]);
      event.target.value = '';
    };
    // What nobody sees is not drawn.
    new IntersectionObserver(([{ isIntersecting }]) => this.visible = isIntersecting).observe($('section'));
    this.showRate();
  }

  get lr() {
    return Number((10 ** $('lr').value).toPrecision(2));
  }

  showRate() {
    $('lr').ariaValueText = $('lr-shown').textContent = `× ${this.lr}`;
  }

  // Works on this device from now on. A software adapter begins with a smaller picture.
  async use(device, isSoftware) {
    if (device !== this.device) {
      this.drop();
      if (isSoftware) $('size').value = 128;
    }
    this.device = device;
    this.enable();
    if (!device) this.say('fit-status', 'This needs WebGPU.', 'bad');
    else if (!this.splats) this.say('fit-status', 'Ready.');
    if (this.image) return;
    this.image = await createImageBitmap(await (await fetch(BUNDLED)).blob());
    this.show();
    this.enable();
  }

  // Draws the picture, and returns its pixels.
  show() {
    return draw(this.image, $('target'), Number($('size').value));
  }

  enable() {
    for (const id of ['start', 'restart', 'file', 'size', 'moments', 'lr']) $(id).disabled = !this.device || !this.image;
    $('box').classList.toggle('empty', !$('start').disabled && !this.splats);
  }

  // Gives up a fit that has failed.
  stop(error) {
    if (!this.splats) return;
    this.drop();
    return this.fail(error);
  }

  drop() {
    this.running = false;
    this.splats = null;
    $('start').textContent = 'Start';
    $('progress').textContent = '';
    this.enable();
  }

  async open(file) {
    if (!file || !this.device) return;
    let image;
    try {
      image = await createImageBitmap(file);
    } catch {
      return this.say('fit-status', `${file.name} is refused. The browser cannot read it as a picture. The fit keeps the old one.`, 'bad');
    }
    this.image?.close();
    this.image = image;
    $('name').textContent = file.name;
    await this.start(true);
  }

  // Starts one after another: each ends the run before it.
  start(anew = false) {
    return this.turn = this.turn.then(() => this.startNow(anew));
  }

  async startNow(anew) {
    await this.pause();
    if (anew || !this.splats || this.done) await this.begin();
    if (!this.splats) return;
    this.running = true;
    $('start').textContent = 'Pause';
    this.say('fit-status', `Fitting ${$('target').width} × ${$('target').height} pixels.`);
    this.ended = this.run(this.splats).catch(error => this.stop(error));
  }

  async pause() {
    const wasRunning = this.running;
    this.running = false;
    $('start').textContent = 'Start';
    await this.ended;
    if (wasRunning && !this.done) this.say('fit-status', 'Paused.');
  }

  async begin() {
    this.say('fit-status', 'Compiling …');
    await this.attempt(async () => {
      this.splats?.free();
      this.splats = null;
      const pixels = this.show(), canvas = $('canvas');
      [canvas.width, canvas.height] = [$('target').width, $('target').height];
      const controls = JSON.stringify({ lr: this.lr, moments: $('moments').value });
      this.splats = await Splats.begin(this.device, canvas, new Uint8Array(pixels.buffer), controls, this.seed++);
      this.applied = this.lr;
      this.done = false;
      await this.measure(this.splats);
    });
    this.enable();
    if (!this.splats) this.say('fit-status', '');
  }

  async run(splats) {
    let steps = 1, measured = performance.now();
    while (this.running && !this.done) {
      if (this.visible) {
        if (this.applied !== this.lr) await splats.setLr(this.applied = this.lr);
        const start = performance.now();
        await splats.frame(steps);
        const now = performance.now();
        steps = Math.min(Math.max(Math.round(steps * FRAME / Math.max(now - start, 1)), 1), MOST);
        if (now - measured > MEASURE) {
          await this.measure(splats, now - measured);
          measured = now;
        }
      } else {
        measured = performance.now();
      }
      await new Promise(requestAnimationFrame);
    }
    if (splats !== this.splats) return;
    await this.measure(splats);
    if (!this.done) return;
    this.running = false;
    $('start').textContent = 'Start';
    this.say('fit-status', 'Done. Start fits again.');
  }

  // Shows a score, and the steps of the last `ms` milliseconds.
  async measure(splats, ms) {
    const { step, splats: count, psnr, done } = await splats.measure();
    const rate = ms ? ` · ${(1000 * (step - this.step) / ms).toFixed(0)} steps/s` : '';
    Object.assign(this, { step, done });
    $('progress').textContent = `Step ${step} · ${count.toLocaleString('en')} splats · PSNR ${psnr.toFixed(1)} dB${rate}`;
  }
}
