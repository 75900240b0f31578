// A plot of lines over the number of steps, on a canvas. It follows the colors of the page.

const MOST = 600; // points of a line; beyond, every second one is dropped

export class Plot {
  // `options.log` draws the logarithm. `options.low` and `options.high` are in view in any case. `options.format` makes
  // the text of a number. `lines` are { name, color: a property of the style sheet, dashed }.
  constructor(canvas, lines, options) {
    Object.assign(this, { canvas, options });
    this.lines = lines.map(line => ({ ...line }));
    this.clear();
    new ResizeObserver(() => this.draw()).observe(canvas);
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => this.draw());
  }

  clear() {
    for (const line of this.lines) line.points = [];
    this.draw();
  }

  // One value for each line. Undefined leaves a gap.
  add(step, values) {
    this.lines.forEach((line, i) => {
      if (values[i] === undefined || !Number.isFinite(values[i])) return;
      line.points.push([step, values[i]]);
      if (line.points.length > MOST) line.points = line.points.filter((_, at, all) => at % 2 === 0 || at === all.length - 1);
    });
  }

  draw() {
    const { canvas, lines, options } = this, style = getComputedStyle(canvas);
    const scale = devicePixelRatio || 1, width = canvas.clientWidth, height = canvas.clientHeight;
    if (!width) return;
    canvas.width = width * scale;
    canvas.height = height * scale;
    const g = canvas.getContext('2d');
    g.scale(scale, scale);
    g.font = `11px ${style.fontFamily}`;
    const color = name => style.getPropertyValue(name);

    const all = lines.flatMap(line => line.points), values = all.map(point => point[1]);
    const bend = options.log ? value => Math.log10(Math.max(value, 1e-6)) : value => value;
    let low = bend(Math.min(...values, options.low)), high = bend(Math.max(...values, options.high));
    if (options.log) [low, high] = [Math.floor(low * 2) / 2, Math.ceil(high * 2) / 2];
    else high += (high - low) * 0.06 * (options.top === undefined);
    const first = Math.min(...all.map(point => point[0]), 0);
    const last = Math.max(...all.map(point => point[0]), first + 50);
    const left = 40, right = width - 6, top = 8, bottom = height - 18;
    const x = step => left + (right - left) * (step - first) / (last - first);
    const y = value => bottom - (bottom - top) * (bend(value) - low) / (high - low);

    g.strokeStyle = color('--line');
    g.fillStyle = color('--soft');
    g.textBaseline = 'middle';
    g.textAlign = 'right';
    for (const tick of ticks(low, high, options.log)) {
      const at = Math.round(y(tick)) + 0.5;
      line(g, [[left, at], [right, at]]);
      g.fillText(options.format(tick), left - 5, at);
    }
    g.textBaseline = 'alphabetic';
    g.textAlign = 'left';
    g.fillText(first, left, height - 4);
    g.textAlign = 'right';
    g.fillText(`${last} steps`, right, height - 4);

    g.lineWidth = 1.75;
    g.lineJoin = 'round';
    for (const { points, color: name, dashed } of lines) {
      g.strokeStyle = color(name);
      g.setLineDash(dashed ? [5, 4] : []);
      line(g, points.map(([step, value]) => [x(step), y(value)]));
    }
    g.setLineDash([]);
    // The names stand at the ends of the lines, if there are several.
    const named = lines.filter(line => line.points.length && lines.length > 1);
    const places = named.map(line => y(line.points.at(-1)[1]) - 5);
    named.forEach((line, i) => {
      g.fillStyle = color(line.color);
      const crowded = places.some((other, j) => j < i && Math.abs(other - places[i]) < 12);
      g.fillText(line.name, right - 2, Math.max(crowded ? places[i] + 17 : places[i], 10));
    });

    const say = ({ name, points }) => points.length ? `${name} ${options.format(points.at(-1)[1])}` : `no ${name} yet`;
    canvas.setAttribute('aria-label', `Plot over ${last} steps: ${lines.map(say).join(', ')}`);
  }
}

function line(g, points) {
  g.beginPath();
  for (const [x, y] of points) g.lineTo(x, y);
  g.stroke();
}

function ticks(low, high, log) {
  if (log) {
    const all = [];
    for (let power = Math.ceil(low); power <= high; power++) all.push(10 ** power);
    return all.length > 1 ? all : [10 ** low, 10 ** high];
  }
  const rough = (high - low) / 3, size = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map(factor => factor * size).find(step => step >= rough);
  const all = [];
  for (let tick = Math.ceil(low / step) * step; tick <= high + 1e-9; tick += step) all.push(tick);
  return all;
}
