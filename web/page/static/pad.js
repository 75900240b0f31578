// A canvas to draw a digit on, and the 8 x 8 pixels that the network sees.
//
// The authors of the digits scanned 32 x 32 dots and counted those of each 4 x 4 square. So the drawing is moved to the
// middle and scaled to the full height, drawn anew with 32 x 32 dots, and counted.

const DOTS = 32, SQUARE = 4, WIDTH = 4.2;

export class Pad {
  // Calls `changed` with 64 numbers from 0 to 16 after each stroke, and while one is drawn.
  constructor(canvas, changed) {
    Object.assign(this, { canvas, changed, strokes: [], pixels: null });
    const at = event => {
      const box = canvas.getBoundingClientRect();
      return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
    };
    canvas.addEventListener('pointerdown', event => {
      canvas.setPointerCapture(event.pointerId);
      if (this.pixels) this.strokes = [];
      this.pixels = null;
      this.strokes.push([at(event)]);
      this.draw();
    });
    canvas.addEventListener('pointermove', event => {
      if (!canvas.hasPointerCapture(event.pointerId)) return;
      for (const part of event.getCoalescedEvents?.() ?? [event]) this.strokes.at(-1).push(at(part));
      this.draw();
    });
    canvas.addEventListener('pointerup', () => this.changed(this.read()));
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => this.draw());
    this.draw();
  }

  clear() {
    [this.strokes, this.pixels] = [[], null];
    this.draw();
  }

  // Shows pixels instead of strokes.
  show(pixels) {
    [this.strokes, this.pixels] = [[], pixels];
    this.draw();
    this.changed(pixels);
  }

  // Returns the pixels, or null if nothing is drawn.
  read() {
    const all = this.strokes.flat();
    if (this.pixels || !all.length) return this.pixels;
    const [xs, ys] = [0, 1].map(axis => all.map(point => point[axis]));
    const box = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
    const size = Math.max(box[1] - box[0], box[3] - box[2], 0.05), room = DOTS - WIDTH;
    const scale = room / size, middle = [(box[0] + box[1]) / 2, (box[2] + box[3]) / 2];
    const dots = new OffscreenCanvas(DOTS, DOTS).getContext('2d', { willReadFrequently: true });
    stroke(dots, this.strokes, ([x, y]) => [(x - middle[0]) * scale + DOTS / 2, (y - middle[1]) * scale + DOTS / 2], WIDTH);
    const ink = dots.getImageData(0, 0, DOTS, DOTS).data, pixels = new Array(64).fill(0);
    for (let dot = 0; dot < DOTS * DOTS; dot++) {
      const [x, y] = [dot % DOTS, Math.floor(dot / DOTS)];
      pixels[Math.floor(y / SQUARE) * 8 + Math.floor(x / SQUARE)] += ink[4 * dot + 3] / 255;
    }
    return pixels;
  }

  draw() {
    const { canvas, pixels } = this, g = canvas.getContext('2d'), { width, height } = canvas;
    g.clearRect(0, 0, width, height);
    const ink = getComputedStyle(canvas).getPropertyValue('--ink');
    g.strokeStyle = g.fillStyle = ink;
    if (!pixels) return stroke(g, this.strokes, ([x, y]) => [x * width, y * height], width * 0.085);
    pixels.forEach((pixel, i) => {
      g.globalAlpha = pixel / 16;
      g.fillRect((i % 8) * width / 8, Math.floor(i / 8) * height / 8, width / 8, height / 8);
    });
    g.globalAlpha = 1;
  }
}

function stroke(g, strokes, place, width) {
  Object.assign(g, { lineWidth: width, lineCap: 'round', lineJoin: 'round' });
  for (const points of strokes) {
    g.beginPath();
    g.moveTo(...place(points[0]));
    for (const point of points) g.lineTo(...place(point));
    g.stroke();
  }
}
