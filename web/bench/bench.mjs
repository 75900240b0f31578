// Measures the page's optimizer against TensorFlow.js, and prints medians with the range over the runs.
import { browser } from '../drive.mjs';

const RUNS = Number(process.env.RUNS ?? 5);

const sorted = numbers => [...numbers].sort((a, b) => a - b);
const spread = (numbers, digits) => {
    const all = sorted(numbers), text = number => number.toFixed(digits);
    return `${text(all[all.length >> 1])} (${text(all[0])} to ${text(all.at(-1))})`;
};

export default async function (site) {
    const url = await site.serve('.');
    await steps(site, url);
    await firstStep(url);
    await digits(site, url);
}

// Steps, each run in a page of its own. Within a run, rounds of all contestants are in turn.
async function steps(site, url) {
    const rows = new Map();
    for (let run = 0; run < RUNS; run++) {
        const page = await site.open(`${url}/bench/static/steps.html`);
        for (const { shape, name, ms, bytes, ratio } of await page.evaluate(() => window.measure())) {
            const key = `${shape}, ${name}`;
            if (!rows.has(key)) rows.set(key, { bytes, ms: [], ratio: [] });
            rows.get(key).ms.push(ms);
            rows.get(key).ratio.push(ratio);
        }
        site.quiet(page);
        await page.close();
    }
    console.log(`\nA step of Adam: median of ${RUNS} runs (range)\n| tensors | ms | TensorFlow.js takes, times | bytes of state |\n|---|---:|---:|---:|`);
    for (const [key, { bytes, ms, ratio }] of rows) console.log(`| ${key} | ${spread(ms, 2)} | ${spread(ratio, 1)} | ${bytes} |`);
}

// From the beginning of the navigation to the end of the first step, each in a new browser, whose caches are empty.
async function firstStep(url) {
    const first = async name => {
        const context = await browser();
        const page = context.pages()[0];
        await page.goto(`${url}/bench/static/${name}.html`);
        const ms = await (await page.waitForFunction(() => window.result, null, { polling: 20 })).jsonValue();
        await context.close();
        return ms;
    };
    const ours = [], tfjs = [];
    for (let run = 0; run < 2 * RUNS; run++) {
        ours.push(await first('ours'));
        tfjs.push(await first('tfjs'));
    }
    console.log(`\nFrom navigation to the end of the first step of 1,048,576 parameters: median of ${2 * RUNS} new browsers (range)`);
    console.log(`ours ${spread(ours, 0)} ms, TensorFlow.js ${spread(tfjs, 0)} ms, ratio ${spread(ours.map((ms, i) => tfjs[i] / ms), 2)}`);
}

// Training on the digits. A run also makes the measurements of the probe and scores the held-out digits, once.
async function digits(site, url) {
    const page = await site.open(`${url}/bench/static/steps.html`);
    const parts = await page.evaluate(runs => window.digits(runs), 4 * RUNS);
    site.quiet(page);
    await page.close();
    console.log(`\nTraining on the digits: ${spread(parts[0][1].map(ms => 45_000 / ms), 0)} steps/s`);
    for (const [name, ms] of parts) console.log(`| ${name} | ${spread(ms, 1)} ms |`);
}
