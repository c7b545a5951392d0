// Lines over the last two minutes on a canvas. It draws what this page needs and nothing else, which is less than a library would take to be asked for it.
const span = 120; // frames
const left = 46, bottom = 16, top = 6;

// chart is a figure: title, canvas, and for those who do not see it the same in words.
export function chart(el, title) {
  const canvas = el("canvas", { role: "img", "aria-label": title });
  return { title, canvas, figure: el("figure", {}, el("figcaption", {}, title), canvas) };
}

const styleOf = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

// nice is the least of 1, 2, 5, 10, … that is not less than n.
function nice(n) {
  const power = 10 ** Math.floor(Math.log10(Math.max(n, 1e-9)));
  return [1, 2, 5, 10].map((m) => m * power).find((m) => m >= n * 0.999) ?? 10 * power;
}

// draw takes series of {name, color (a custom property), values (the newest last, undefined for none), dashed}, and options: format, log for a logarithmic scale from 1e-3,
// line for a {value, name} that is drawn across.
export function draw(c, series, { format, log = false, line } = {}) {
  const { canvas } = c;
  describe(c, series, format, line);
  const width = canvas.clientWidth, height = canvas.clientHeight;
  if (width === 0 || document.hidden) return;
  const ratio = window.devicePixelRatio || 1;
  if (canvas.width !== Math.round(width * ratio)) canvas.width = Math.round(width * ratio);
  if (canvas.height !== Math.round(height * ratio)) canvas.height = Math.round(height * ratio);
  const g = canvas.getContext("2d");
  g.setTransform(ratio, 0, 0, ratio, 0, 0);
  g.clearRect(0, 0, width, height);
  g.font = "11px system-ui, sans-serif";
  const scale = log ? logarithmic(series, line) : linear(series);
  const plot = { width: width - left - 4, height: height - top - bottom };
  const x = (i) => left + (plot.width * i) / (span - 1);
  const y = (v) => top + plot.height * (1 - scale.part(v));
  axes(g, { scale, y, width, height, format });
  for (const s of series) curve(g, s, x, y);
  if (line) across(g, line, y(line.value), width);
}

function linear(series) {
  const most = Math.max(0, ...series.flatMap((s) => s.values.filter((v) => v !== undefined)));
  const max = most > 0 ? nice(most) : 1;
  return { ticks: [0, max / 2, max], part: (v) => v / max };
}

function logarithmic(series, line) {
  const values = series.flatMap((s) => s.values.filter((v) => v !== undefined));
  const low = -3, high = Math.ceil(Math.log10(Math.max(10, line?.value ?? 0, ...values))) + 1;
  const ticks = [];
  for (let e = low; e <= high; e += Math.max(1, Math.ceil((high - low) / 4))) ticks.push(10 ** e);
  return { ticks, part: (v) => (Math.max(low, Math.log10(Math.max(v, 1e-9))) - low) / (high - low) };
}

function axes(g, { scale, y, width, height, format }) {
  g.strokeStyle = styleOf("--line");
  g.fillStyle = styleOf("--dim");
  g.lineWidth = 1;
  g.setLineDash([]);
  g.textAlign = "right";
  g.textBaseline = "middle";
  for (const t of scale.ticks) {
    const at = Math.round(y(t)) + 0.5;
    g.beginPath();
    g.moveTo(left, at);
    g.lineTo(width, at);
    g.stroke();
    g.fillText(format(t), left - 6, at);
  }
  g.textBaseline = "bottom";
  g.fillText("now", width, height);
  g.textAlign = "left";
  g.fillText("2 min ago", left, height);
}

function curve(g, s, x, y) {
  g.strokeStyle = styleOf(s.color);
  g.lineWidth = 2;
  g.setLineDash(s.dashed ? [4, 4] : []);
  g.lineJoin = "round";
  g.beginPath();
  let down = false;
  const first = span - s.values.length;
  s.values.forEach((v, i) => {
    if (v === undefined) down = false;
    else if (down) g.lineTo(x(first + i), y(v));
    else {
      g.moveTo(x(first + i), y(v));
      g.lineTo(x(first + i) + 0.5, y(v)); // a single value is a dot
      down = true;
    }
  });
  g.stroke();
  g.setLineDash([]);
}

function across(g, line, at, width) {
  g.strokeStyle = g.fillStyle = styleOf("--bad");
  g.lineWidth = 1.5;
  g.setLineDash([6, 3]);
  g.beginPath();
  g.moveTo(left, at);
  g.lineTo(width, at);
  g.stroke();
  g.setLineDash([]);
  g.textAlign = "left";
  g.textBaseline = "bottom";
  g.fillText(line.name, left + 4, at - 2);
}

// describe says in words what the lines show. It is no live region: it is read by who asks for it.
function describe(c, series, format, line) {
  const parts = series.map((s) => {
    const known = s.values.filter((v) => v !== undefined);
    return known.length === 0 ? `${s.name} none yet` : `${s.name} ${format(known.at(-1))} now, ${format(Math.max(...known))} at most`;
  });
  if (line) parts.push(`${line.name} ${format(line.value)}`);
  c.canvas.setAttribute("aria-label", `${c.title}, the last two minutes: ${parts.join("; ")}`);
}

// keep adds a value to a history of the length that is drawn.
export function keep(list, value) {
  list.push(value);
  if (list.length > span) list.shift();
}
