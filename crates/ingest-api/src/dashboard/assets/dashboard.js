// Adds to a page: times in the viewer's own zone, the page's age, charts, and a confirmation before a purge.
// Everything else works without a script.
"use strict";

const day = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

function localTimes(root) {
  for (const time of root.querySelectorAll("time[datetime]:not(.made)")) {
    const local = day.format(new Date(time.dateTime));
    if (time.classList.contains("at")) {
      time.textContent = local;
    } else {
      time.title = local;
    }
  }
}

const clock = new Intl.DateTimeFormat(undefined, { timeStyle: "short" });

// The age of the refreshed part, counted here, since a server that is down says nothing. After two missed
// refreshes, its content is out of date.
let shown = null;
let shownAt = 0;
// A browser stops the clock of a hidden page: afterwards the page first retries, and warns later.
const TRIES = 5_000;
let tickedAt = Date.now();
let awakeAt = tickedAt;

function span(seconds) {
  return seconds < 100 ? `${seconds} s` : seconds < 6000 ? `${Math.floor(seconds / 60)} min` : `${Math.floor(seconds / 3600)} h`;
}

function age() {
  const now = Date.now();
  if (now - tickedAt > 5_000) {
    awakeAt = now;
    refresh();
  }
  tickedAt = now;
  const part = document.getElementById("now");
  const made = part?.querySelector("time.made");
  if (!made) {
    return;
  }
  if (part !== shown) {
    // The first part was in the page before this script ran.
    const answered = performance.getEntriesByType("navigation")[0]?.responseStart ?? performance.now();
    shownAt = shown ? now : now - performance.now() + answered;
    shown = part;
  }
  const every = Number(/every (\d+)s/.exec(part.getAttribute("hx-trigger"))[1]);
  const seconds = Math.max(0, Math.floor((now - shownAt) / 1000));
  const isLost = part.classList.contains("lost") || (seconds >= 2 * every + 5 && now - awakeAt >= TRIES);
  const contact = part.querySelector(".contact");
  if (isLost) {
    contact.textContent = `No contact with PiSync for ${span(seconds)}; this is from ${clock.format(new Date(made.dateTime))}`;
    part.querySelector(".sign").textContent = "?";
  }
  contact.hidden = !isLost;
  part.classList.toggle("lost", isLost);
  part.querySelector(".checked").firstChild.textContent = "Last checked ";
  made.title = day.format(new Date(made.dateTime));
  made.textContent = `${span(seconds)} ago`;
}

// Refreshes that were missed while the page was hidden, or offline, run at once.
function refresh() {
  if (!document.hidden) {
    document.getElementById("now")?.dispatchEvent(new Event("refresh"));
  }
}

async function copy(button) {
  const text = document.querySelector(button.dataset.copy);
  getSelection().selectAllChildren(text);
  // A page of an insecure origin has no clipboard: the text is selected instead.
  const isCopied = await navigator.clipboard?.writeText(text.textContent).then(() => true, () => false);
  button.textContent = isCopied ? "Copied" : "Selected: copy it";
}

function begin(root) {
  localTimes(root);
  root.querySelectorAll("[data-copy]").forEach((button) => (button.hidden = false));
  age();
}

// Outcomes of the syncs, from the bottom, each received in time and then late.
const LAYERS = ["good", "unknown", "connectivity", "content"].flatMap((name) => [{ name, late: false }, { name, late: true }]);

function color(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

// Bars on top of each other: each series is drawn up to its sum, the highest first.
function stacked(columns, from) {
  const sums = [];
  let below = columns.hour.slice(from).map(() => 0);
  for (const { name, late } of LAYERS) {
    const of = (count, place) => (late ? columns.late[name][place] : count - columns.late[name][place]);
    const counts = columns[name].map(of).slice(from);
    below = counts.map((count, place) => count + below[place]);
    // No bar for a zero count, or the pattern of a hidden one would shine through.
    sums.push(below.map((sum, place) => (counts[place] > 0 ? sum : null)));
  }
  return [columns.hour.slice(from), ...sums.reverse()];
}

// Late syncs are hatched, so that they differ without colour.
function hatched(plot, name) {
  const [tile, size] = [document.createElement("canvas"), 6 * devicePixelRatio];
  tile.width = tile.height = size;
  const pen = tile.getContext("2d");
  pen.fillStyle = color("--bar-" + name);
  pen.fillRect(0, 0, size, size);
  pen.strokeStyle = color("--text");
  pen.lineWidth = devicePixelRatio;
  for (const start of [-size, 0, size]) {
    pen.moveTo(start, size);
    pen.lineTo(start + size, 0);
  }
  pen.stroke();
  return plot.ctx.createPattern(tile, "repeat");
}

function incidents(columns, from) {
  return (plot) => {
    plot.ctx.fillStyle = color("--incident");
    columns.incidents.slice(from).forEach((count, place) => {
      if (count > 0) {
        const x = plot.valToPos(columns.hour[from + place] + 1800, "x", true);
        plot.ctx.beginPath();
        plot.ctx.arc(x, plot.bbox.top + 6 * devicePixelRatio, 4 * devicePixelRatio, 0, 7);
        plot.ctx.fill();
      }
    });
  };
}

function draw(element, columns) {
  const from = Math.max(0, columns.hour.length - Number(element.dataset.hours));
  const data = stacked(columns, from);
  element.textContent = "";
  if (data.slice(1).every((layer) => layer.every((sum) => sum === null))) {
    element.classList.add("empty");
    element.textContent = "No syncs in this time.";
    return;
  }
  const axis = { stroke: color("--quiet"), grid: { stroke: color("--line"), width: 1 }, ticks: { stroke: color("--line") } };
  const series = [...LAYERS].reverse().map(({ name, late }) => ({
    label: name,
    fill: late ? (plot) => hatched(plot, name) : color("--bar-" + name),
    width: 0,
    points: { show: false },
    paths: uPlot.paths.bars({ size: [0.9, 60], align: 1 }),
  }));
  const end = data[0][data[0].length - 1] + 3600;
  new uPlot({
    width: element.clientWidth,
    height: 220,
    cursor: { show: false },
    legend: { show: false },
    scales: { x: { range: [data[0][0], end] }, y: { range: (plot, low, high) => [0, Math.max(1, high * 1.15)] } },
    axes: [axis, { ...axis, size: 56 }],
    series: [{}, ...series],
    hooks: { draw: [incidents(columns, from)] },
  }, data, element);
}

// A busy server answers 503, and has the hours ready for the next request.
async function columnsOf(url) {
  for (let attempt = 0; attempt < 8; attempt += 1) {
    const answer = await fetch(url, { credentials: "same-origin", redirect: "error" }).catch(() => null);
    if (answer?.ok) {
      return answer.json().catch(() => null);
    }
    if (answer && answer.status !== 503) {
      return null;
    }
    const seconds = Math.min(Number(answer?.headers.get("retry-after")) || 2, 10);
    await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
  }
  return null;
}

async function charts() {
  const place = document.querySelector("[data-chart]");
  if (!place || typeof uPlot === "undefined") {
    return;
  }
  const columns = await columnsOf(place.dataset.chart);
  const drawAll = () => {
    for (const element of place.querySelectorAll(".chart")) {
      if (columns) {
        draw(element, columns);
      } else {
        element.classList.add("empty");
        element.textContent = "The hours are unavailable.";
      }
    }
  };
  drawAll();
  addEventListener("resize", drawAll);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
}

document.addEventListener("htmx:load", (event) => begin(event.target));
document.addEventListener("visibilitychange", refresh);
addEventListener("online", refresh);
setInterval(age, 1000);
document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-copy]");
  if (button) {
    copy(button);
  }
  const question = event.target.closest("[data-confirm]")?.dataset.confirm;
  if (question && !confirm(question)) {
    event.preventDefault();
  }
});
begin(document);
charts();
