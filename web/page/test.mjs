// Uses the page as a person would, on SwiftShader: trains, changes, draws, breaks, saves and resumes. With SHOTS=folder it
// leaves screenshots of both widths and both color schemes there, to be looked at.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';

const LIMIT = { timeout: 60_000, polling: 50 };

export default async function (site) {
  const url = await site.serve('dist/page');
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'page-'));
  try {
    await gpu(site, url, folder);
    await splats(site, url);
    await lost(site, url, folder);
    await cpu(site, url, folder);
    if (process.env.SHOTS) await shots(site, url, process.env.SHOTS);
  } finally {
    fs.rmSync(folder, { recursive: true });
  }
}

const text = (page, selector) => page.locator(selector).innerText();
// Waits until an element says something. If it does not, the error has what it says instead.
const says = async (page, selector, pattern) => {
  try {
    await page.waitForFunction(([selector, source]) => new RegExp(source).test(document.querySelector(selector).innerText),
      [selector, pattern.source], LIMIT);
  } catch {
    const notice = await text(page, '#notice');
    throw new Error(`${selector} says "${await text(page, selector)}", and not ${pattern}; the notice is "${notice}"`);
  }
};
const step = async page => Number(/Step (\d+)/.exec(await text(page, '#progress'))?.[1] ?? 0);
const isReady = page => says(page, '#status', /Ready/);
const trainedTo = (page, percent) => page.waitForFunction(percent =>
  Number.parseFloat(document.querySelector('#accuracy-now').innerText) >= percent, percent, LIMIT);
const refuses = async (page, name, bytes, reason) => {
  await page.setInputFiles('#open', { name, mimeType: 'application/octet-stream', buffer: bytes });
  await says(page, '#kept', reason);
  assert.match(await text(page, '#kept'), new RegExp(`^${name} is refused.*Nothing has changed.$`, 's'));
};
const saved = async (page, folder) => {
  const [download] = await Promise.all([page.waitForEvent('download'), page.click('#save')]);
  const file = path.join(folder, download.suggestedFilename());
  await download.saveAs(file);
  return file;
};
// Draws lines over corners in parts of the pad.
async function draw(page, ...lines) {
  await page.click('#clear');
  await page.locator('#pad').scrollIntoViewIfNeeded();
  const box = await page.locator('#pad').boundingBox();
  const move = ([x, y]) => page.mouse.move(box.x + x * box.width, box.y + y * box.height, { steps: 6 });
  for (const [first, ...rest] of lines) {
    await move(first);
    await page.mouse.down();
    for (const corner of rest) await move(corner);
    await page.mouse.up();
  }
}

// The Tab key reaches each control in the order of the page, and each has a name for a screen reader.
async function reachable(page) {
  const session = await page.context().newCDPSession(page);
  const { nodes } = await session.send('Accessibility.getFullAXTree');
  const controls = nodes.filter(({ ignored, role, properties = [] }) =>
    !ignored && role.value !== 'RootWebArea' && properties.some(({ name, value }) => name === 'focusable' && value.value));
  assert.ok(controls.length > 15);
  for (const { role, name, nodeId } of controls) assert.ok(name?.value, `a ${role.value} (${nodeId}) has no name`);
  const order = await page.evaluate(() => {
    window.all = [...document.querySelectorAll('a, button, input, select')].filter(element => !element.disabled);
    return window.all.map((_, i) => i);
  });
  const reached = [];
  for (const _ of order) {
    await page.keyboard.press('Tab');
    reached.push(await page.evaluate(() => window.all.indexOf(document.activeElement)));
  }
  assert.deepEqual(reached, order);
}

async function gpu(site, url, folder) {
  const page = await site.open(url);
  await isReady(page);
  await reachable(page);
  const start = Date.now();

  // A click on start trains to 95 % of the held-out digits.
  await page.click('#start');
  await trainedTo(page, 95);
  console.log(`page: 95 % held out after ${((Date.now() - start) / 1000).toFixed(1)} s: ${await text(page, '#progress')}`);
  assert.ok(await step(page) > 0);

  // The badge is checked on the adapter of the visitor; on SwiftShader all bits are equal.
  await says(page, '#badge', /bit-equal to the CPU/);

  // Pause holds.
  await page.focus('#start');
  await page.keyboard.press('Space');
  await says(page, '#status', /Paused/);
  await page.waitForTimeout(500);
  const held = await step(page);
  await page.waitForTimeout(1000);
  assert.equal(await step(page), held);

  // A drawn 7 is read as 7, and so are a 1 and a 0.
  await draw(page, [[0.25, 0.2], [0.75, 0.2], [0.42, 0.85]]);
  await says(page, '#answer', /Read as 7/);
  const circle = [...Array(17).keys()].map(i => [0.5 + 0.22 * Math.sin(i * Math.PI / 8), 0.5 - 0.35 * Math.cos(i * Math.PI / 8)]);
  await draw(page, circle);
  await says(page, '#answer', /Read as 0/);
  await page.click('#example');
  await says(page, '#answer', /its author wrote a \d/);

  // The button names the tensor whose gradient is NaN. The guard skips, and the training goes on.
  await page.selectOption('#victim', 'output.weight');
  await page.click('#poison');
  await says(page, '#poisoned', /output\.weight is not finite/);
  assert.equal(await step(page), held);
  await page.click('#start');
  await says(page, '#progress', /1 skipped/);
  await page.waitForFunction(held => Number(/Step (\d+)/.exec(document.querySelector('#progress').innerText)?.[1]) > held, held, LIMIT);
  await trainedTo(page, 95);

  // Controls act in mid-run. A rule and a format take a new optimizer, and it says so.
  await page.selectOption('[name=schedule]', 'cosine');
  await says(page, '#status', /in mid-run: Adam.*cosine/);
  await page.selectOption('[name=decay]', '0.01');
  await page.selectOption('[name=rule]', 'lion');
  await says(page, '#status', /A new optimizer: Lion/);
  await page.selectOption('[name=moments]', 'block8');
  await says(page, '#status', /A new optimizer: Lion, moments in 8 bits/);
  await trainedTo(page, 95);
  await page.click('#start');
  await says(page, '#status', /Paused/);
  await page.click('#check');
  await says(page, '#checked', /equal to the last bit/);

  // The download resumes: another page goes on exactly, and saves the same bytes as this one.
  const file = await saved(page, folder), before = fs.readFileSync(file);
  const other = await site.open(url);
  await isReady(other);
  await other.setInputFiles('#open', file);
  await says(other, '#kept', /is loaded: rule Lion/);
  for (const each of [page, other]) {
    await each.bringToFront();
    await each.click('#poison'); // a skipped step
    await says(each, '#poisoned', /Skipped/);
    await each.click('#check'); // an applied step
    await each.waitForTimeout(500);
    await says(each, '#checked', /equal to the last bit/);
  }
  const [here, there] = [fs.readFileSync(await saved(page, folder)), fs.readFileSync(await saved(other, folder))];
  assert.ok(!here.equals(before), 'a step must change the file');
  assert.ok(here.equals(there), 'the resumed training must be the same, bit for bit');

  // A broken file is refused in words.
  const whole = there;
  await refuses(other, 'half.safetensors', whole.subarray(0, whole.length / 2), /no whole safetensors file/);
  const flipped = Buffer.from(whole);
  flipped[whole.length - 100] ^= 1;
  await refuses(other, 'flipped.safetensors', flipped, /checksum/);
  await refuses(other, 'letter.safetensors', Buffer.from('Dear page'), /no whole safetensors file/);
  await other.close();

  // The race and the measurements.
  await page.bringToFront();
  await page.click('#race');
  await says(page, '#race-status', /steps and frames a second/);
  await page.click('#race');
  await says(page, '#race-status', /Stopped/);
  const loaded = [];
  page.on('request', request => loaded.push(request.url()));
  const rows = async count => {
    await page.click('#bench');
    await says(page, '#bench-status', /Medians/);
    const rows = await page.locator('#times tr').allInnerTexts();
    assert.equal(rows.length, count);
    return rows.map(row => row.replaceAll(/\s+/g, ' '));
  };
  assert.ok((await rows(5)).every(row => / ms [\d,]+ $/.test(row)));
  assert.deepEqual(loaded, [], 'TensorFlow.js is loaded only if it is asked for');
  await page.check('#tfjs');
  const both = await rows(7);
  console.log(`page: steps beside TensorFlow.js:\n    ${both.join('\n    ')}`);
  assert.ok(both.every(row => /times$/.test(row)));
  assert.ok(loaded.length === 2 && loaded.every(file => file.startsWith(url)), loaded.join(' '));
  assert.ok(await page.locator('#notice').isHidden(), await text(page, '#notice'));
  site.quiet(page);
  await page.close();
}

// The numbers of the fit.
const fitted = async page => {
  const line = await text(page, '#fit-progress');
  const [, step, splats, psnr] = /Step (\d+) · ([\d,]+) splats · PSNR ([\d.]+) dB/.exec(line) ?? assert.fail(line);
  return { line, step: Number(step), splats: Number(splats.replace(',', '')), psnr: Number(psnr) };
};
const fittedTo = (page, decibels) => page.waitForFunction(decibels =>
  Number(/PSNR ([\d.]+)/.exec(document.querySelector('#fit-progress').innerText)?.[1]) >= decibels, decibels, LIMIT);
// The mean difference of the two canvases as they are on the screen, from 0 to 255.
async function difference(page) {
  const shots = [];
  for (const id of ['#fit-target', '#fit-canvas']) shots.push((await page.locator(id).screenshot()).toString('base64'));
  return page.evaluate(async shots => {
    const [target, fit] = await Promise.all(shots.map(async shot => {
      const image = await createImageBitmap(await (await fetch(`data:image/png;base64,${shot}`)).blob());
      const context = new OffscreenCanvas(image.width, image.height).getContext('2d');
      context.drawImage(image, 0, 0);
      return context.getImageData(0, 0, image.width, image.height).data;
    }));
    return target.reduce((sum, value, i) => sum + Math.abs(value - fit[i]), 0) / target.length;
  }, shots);
}
// A picture of three colors, as the bytes of a file.
const painted = async (page, width, height) => Buffer.from(await page.evaluate(async ([width, height]) => {
  const canvas = new OffscreenCanvas(width, height), context = canvas.getContext('2d');
  ['#d02020', '#20a040', '#2040d0'].forEach((color, i) => {
    context.fillStyle = color;
    context.fillRect(0, i * height / 3, width, height);
  });
  return [...new Uint8Array(await (await canvas.convertToBlob()).arrayBuffer())];
}, [width, height]));
const size = page => page.$eval('#fit-target', ({ width, height }) => [width, height]);

// The fit of a picture, and of one's own.
async function splats(site, url) {
  const page = await site.open(url);
  await isReady(page);
  const start = Date.now();
  await page.click('#fit-start');
  await says(page, '#fit-progress', /PSNR/);
  assert.deepEqual(await size(page), [128, 128], 'a software adapter begins with a small picture');
  const first = await fitted(page);
  await fittedTo(page, first.psnr + 6);
  const risen = await fitted(page);
  console.log(`page: from ${first.psnr} dB in ${((Date.now() - start) / 1000).toFixed(1)} s: ${risen.line}`);
  // After a round of pruning and splitting there are more.
  await page.waitForFunction(() => Number(/Step (\d+)/.exec(document.querySelector('#fit-progress').innerText)[1]) > 100, undefined, LIMIT);
  assert.ok((await fitted(page)).splats > first.splats);

  // Pause holds. The canvas shows the fit.
  await page.click('#fit-start');
  await says(page, '#fit-status', /Paused/);
  const held = await fitted(page);
  await page.waitForTimeout(500);
  assert.deepEqual(await fitted(page), held);
  const off = await difference(page);
  assert.ok(off < 12, `the canvas is ${off} beside the picture`);

  // A broken file is refused in words, and the fit goes on.
  const broken = { name: 'letter.png', mimeType: 'image/png', buffer: Buffer.from('Dear page') };
  await page.setInputFiles('#fit-file', broken);
  await says(page, '#fit-status', /^letter.png is refused.*keeps the old/);
  await page.click('#fit-start');
  await page.waitForFunction(held => Number(/Step (\d+)/.exec(document.querySelector('#fit-progress').innerText)[1]) > held, held.step, LIMIT);
  assert.deepEqual(await size(page), [128, 128]);

  // A picture of one's own is scaled, and fitted at once.
  await page.setInputFiles('#fit-file', { name: 'own.png', mimeType: 'image/png', buffer: await painted(page, 300, 150) });
  await says(page, '#fit-name', /own.png/);
  await says(page, '#fit-status', /128 × 64/);
  await fittedTo(page, 30);
  assert.deepEqual(await size(page), [128, 64]);
  const own = await difference(page);
  assert.ok(own < 8, `the canvas is ${own} beside the picture`);
  console.log(`page: mean differences of ${off.toFixed(1)} and ${own.toFixed(1)} of 255 on the canvas`);

  // So is one that is dropped. The learning rate acts in mid-run, and a format begins anew.
  const dropped = [...await painted(page, 60, 90)];
  await page.evaluate(bytes => {
    const dataTransfer = new DataTransfer();
    dataTransfer.items.add(new File([new Uint8Array(bytes)], 'dropped.png', { type: 'image/png' }));
    document.querySelector('#fit-canvas').dispatchEvent(new DragEvent('drop', { dataTransfer, bubbles: true, cancelable: true }));
  }, dropped);
  await says(page, '#fit-status', /60 × 90/);
  const before = await fitted(page);
  await page.fill('#fit-lr', '-1');
  await says(page, '#fit-lr-shown', /0.1/);
  await page.waitForFunction(step => Number(/Step (\d+)/.exec(document.querySelector('#fit-progress').innerText)[1]) > step + 10, before.step, LIMIT);
  await page.selectOption('#fit-moments', 'block8');
  await says(page, '#fit-progress', /Step \d?\d ·/);
  assert.ok(await page.locator('#notice').isHidden(), await text(page, '#notice'));
  site.quiet(page);
  await page.close();
}

// A GPU that is lost is told in words, and a new training goes on without it.
async function lost(site, url, folder) {
  const init = path.join(folder, 'lost.js');
  fs.writeFileSync(init, `const make = GPUAdapter.prototype.requestDevice;
    GPUAdapter.prototype.requestDevice = async function (...given) { return window.gpu = await make.apply(this, given); };`);
  const page = await site.open(url, { init });
  await isReady(page);
  await page.click('#start');
  await says(page, '#progress', /Step/);
  await page.click('#fit-start');
  await says(page, '#fit-progress', /steps.s/);
  await page.evaluate(() => window.gpu.destroy());
  await says(page, '#notice', /The GPU was lost.*on the CPU/);
  await says(page, '#fit-status', /needs WebGPU/);
  await page.click('#start');
  await trainedTo(page, 90);
  await page.close();
}

// Without WebGPU it says so, and trains on the CPU. Files go from the GPU to the CPU.
async function cpu(site, url, folder) {
  const init = path.join(folder, 'without.js');
  fs.writeFileSync(init, "Object.defineProperty(Navigator.prototype, 'gpu', { get: () => undefined });");
  const page = await site.open(url, { init });
  await isReady(page);
  assert.match(await text(page, '#notice'), /no WebGPU.*on the CPU/s);
  assert.match(await text(page, '#fit-status'), /needs WebGPU/);
  assert.ok(await page.isDisabled('#fit-start'));
  await page.setInputFiles('#open', path.join(folder, 'wgpu-adam-digits.safetensors'));
  await says(page, '#kept', /is loaded: rule Lion/);
  await page.click('#reset');
  await says(page, '#status', /A new network/);
  await page.selectOption('[name=rule]', 'adam');
  await page.click('#start');
  await trainedTo(page, 95);
  await page.click('#poison');
  await says(page, '#poisoned', /hidden\.weight is not finite/);
  site.quiet(page);
  await page.close();
}

async function shots(site, url, folder) {
  fs.mkdirSync(folder, { recursive: true });
  for (const width of [1280, 390]) {
    for (const colorScheme of ['light', 'dark']) {
      const page = await site.open(url, { viewport: { width, height: width === 390 ? 844 : 800 }, colorScheme });
      await isReady(page);
      await page.click('#start');
      await trainedTo(page, 95);
      await says(page, '#badge', /bit-equal/);
      await page.click('#start');
      await draw(page, [[0.25, 0.2], [0.75, 0.2], [0.42, 0.85]]);
      await page.click('#race');
      await says(page, '#race-status', /steps and frames/);
      await page.waitForTimeout(2000);
      await page.click('#race');
      await page.click('#fit-start');
      await fittedTo(page, 30);
      await page.click('#fit-start');
      await says(page, '#fit-status', /Paused/);
      await page.evaluate(() => scrollTo(0, 0));
      await page.screenshot({ path: path.join(folder, `${width}-${colorScheme}.png`), fullPage: true });
      const wide = await page.evaluate(() => document.documentElement.scrollWidth);
      assert.ok(wide <= width, `the page is ${wide} wide on a screen of ${width}`);
      await page.close();
    }
  }
}
