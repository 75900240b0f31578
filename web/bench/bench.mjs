// Measures the optimizer against TensorFlow.js, and prints medians with the range over the runs.
import os from 'node:os';
import { fileURLToPath } from 'node:url';
import { browser, serve } from '../drive.mjs';

const RUNS = Number(process.env.RUNS ?? 5);

const spread = (numbers, digits) => {
    const all = [...numbers].sort((a, b) => a - b), text = number => number.toFixed(digits);
    return `${text(all[all.length >> 1])} (${text(all[0])} to ${text(all.at(-1))})`;
};

const server = await serve(fileURLToPath(new URL('..', import.meta.url)));
// Calls `work` with a page, in a new browser, whose caches are empty.
async function opened(name, work) {
    const context = await browser(), page = context.pages()[0];
    page.setDefaultTimeout(120_000);
    page.on('pageerror', error => { throw error; });
    await page.goto(`${server.url}/bench/static/${name}.html`);
    const result = await work(page);
    const about = `Chromium ${context.browser()?.version() ?? ''}, ${await page.evaluate(async () => {
        const { vendor, architecture, description } = (await navigator.gpu.requestAdapter()).info;
        return [vendor, architecture, description].filter(Boolean).join(' ');
    })}`;
    await context.close();
    return { result, about };
}

// Steps. Within a run, rounds of all contestants are in turn.
async function steps() {
    const rows = new Map();
    for (let run = 0; run < RUNS; run++) {
        const { result, about } = await opened('steps', page => page.evaluate(() => window.measure()));
        if (!run) console.log(`${about}; load ${os.loadavg()[0].toFixed(1)}, ${os.cpus().length} threads`);
        for (const { shape, name, ms, bytes, ratio } of result) {
            const key = `${shape}, ${name}`;
            if (!rows.has(key)) rows.set(key, { bytes, ms: [], ratio: [] });
            rows.get(key).ms.push(ms);
            rows.get(key).ratio.push(ratio);
        }
    }
    console.log(`\nA step of Adam: median of ${RUNS} runs (range)\n`);
    console.log('| tensors | ms | TensorFlow.js takes, times | bytes of state |\n|---|---:|---:|---:|');
    for (const [key, { bytes, ms, ratio }] of rows) console.log(`| ${key} | ${spread(ms, 1)} | ${spread(ratio, 1)} | ${bytes} |`);
}

// From the beginning of the navigation to the end of the first step of 1,048,576 parameters.
async function firstStep() {
    const first = async name => {
        const result = page => page.waitForFunction(() => window.result, null, { polling: 20 }).then(result => result.jsonValue());
        return (await opened(name, result)).result;
    };
    const ours = [], tfjs = [];
    for (let run = 0; run < 2 * RUNS; run++) {
        ours.push(await first('ours'));
        tfjs.push(await first('tfjs'));
    }
    console.log(`\nFrom navigation to the end of the first step: median of ${ours.length} new browsers (range)\n`);
    console.log('| ours, ms | TensorFlow.js, ms | TensorFlow.js takes, times |\n|---:|---:|---:|');
    console.log(`| ${spread(ours, 0)} | ${spread(tfjs, 0)} | ${spread(ours.map((ms, i) => tfjs[i] / ms), 2)} |`);
}

// Training on the digits. A run also makes the measurements of the probe and scores the held-out digits, once.
async function digits() {
    const { result: parts } = await opened('steps', page => page.evaluate(runs => window.digits(runs), 4 * RUNS));
    console.log(`\nTraining on the digits: ${spread(parts[0][1].map(ms => 45_000 / ms), 0)} steps/s\n`);
    console.log('| part | ms |\n|---|---:|');
    for (const [name, ms] of parts) console.log(`| ${name} | ${spread(ms, 1)} |`);
}

await steps();
await firstStep();
await digits();
process.exit(0);
