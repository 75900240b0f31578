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

// A GPU that is lost is told in words, and a new training goes on without it.
async function lost(site, url, folder) {
  const init = path.join(folder, 'lost.js');
  fs.writeFileSync(init, `const make = GPUAdapter.prototype.requestDevice;
    GPUAdapter.prototype.requestDevice = async function (...given) { return window.gpu = await make.apply(this, given); };`);
  const page = await site.open(url, { init });
  await isReady(page);
  await page.click('#start');
  await says(page, '#progress', /Step/);
  await page.evaluate(() => window.gpu.destroy());
  await says(page, '#notice', /The GPU was lost.*on the CPU/);
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
      await page.evaluate(() => scrollTo(0, 0));
      await page.screenshot({ path: path.join(folder, `${width}-${colorScheme}.png`), fullPage: true });
      const wide = await page.evaluate(() => document.documentElement.scrollWidth);
      assert.ok(wide <= width, `the page is ${wide} wide on a screen of ${width}`);
      await page.close();
    }
  }
}
