"use strict";
(() => {
  const find = (id) => document.getElementById(id);
  const data = JSON.parse(find("timeline-data").textContent);
  const canvas = find("timeline-canvas"), told = find("timeline-told"), pen = canvas.getContext("2d");
  const { lanes, names, states, waiting, bars } = data;
  const duration = Math.max(1, data.duration), total = bars.start.length;
  const WAITING = 46, AXIS = 20;
  let from = 0, to = duration, chosen = -1, width = 0, gutter = 0, laneHeight = 0, colours = [], inks = {};

  // Bars are sorted by lane and start: where each lane begins.
  const firsts = new Array(lanes.length + 1).fill(total);
  for (let bar = total - 1; bar >= 0; bar--) firsts[bars.lane[bar]] = bar;
  for (let lane = lanes.length - 1; lane >= 0; lane--) firsts[lane] = Math.min(firsts[lane], firsts[lane + 1]);

  const end = (bar) => bars.start[bar] + bars.length[bar];
  const x = (at) => gutter + ((at - from) / (to - from)) * (width - gutter);
  const at = (px) => from + ((px - gutter) / (width - gutter)) * (to - from);
  const top = (lane) => WAITING + AXIS + lane * laneHeight;

  const time = (us) => {
    if (!us) return "0 s";
    if (us < 1e3) return `${+us.toPrecision(3)} µs`;
    if (us < 1e6) return `${+(us / 1e3).toPrecision(3)} ms`;
    return us < 1e8 ? `${+(us / 1e6).toPrecision(4)} s` : `${Math.floor(us / 6e7)} min ${Math.round((us % 6e7) / 1e6)} s`;
  };

  const readColours = () => {
    const style = getComputedStyle(document.documentElement), get = (name) => style.getPropertyValue(`--${name}`).trim();
    colours = states.map((state) => get(state.replace(" ", "-")));
    for (const name of ["ink", "soft", "line", "track", "card"]) inks[name] = get(name);
  };

  const measure = () => {
    width = canvas.clientWidth;
    gutter = Math.min(150, Math.round(width * 0.27));
    laneHeight = Math.min(20, Math.max(2, Math.floor(560 / lanes.length)));
    const ratio = window.devicePixelRatio || 1, height = top(lanes.length) + 2;
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
    canvas.style.height = `${height}px`;
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  };

  /** Of what is too long the end is shown: there workers have their numbers. */
  const text = (words, left, middle, most) => {
    let shown = words;
    while (shown.length > 1 && pen.measureText(shown).width > most) shown = `…${shown.slice(2)}`;
    pen.fillText(shown, left, middle);
  };

  const drawWaiting = () => {
    const most = Math.max(1, ...waiting), step = duration / waiting.length;
    pen.fillStyle = inks.soft;
    text("waiting", 0, 12, gutter - 8);
    text(`up to ${Math.ceil(most).toLocaleString("en")}`, 0, 27, gutter - 8);
    pen.fillStyle = inks.track;
    pen.fillRect(gutter, 4, width - gutter, WAITING - 8);
    pen.fillStyle = inks.soft;
    waiting.forEach((count, bin) => {
      const left = Math.max(gutter, x(bin * step)), right = Math.min(width, x((bin + 1) * step));
      const height = (count / most) * (WAITING - 8);
      if (right > left && height) pen.fillRect(left, WAITING - 4 - height, right - left + 0.5, height);
    });
  };

  const drawAxis = () => {
    const rough = (to - from) / Math.max(2, (width - gutter) / 110), power = 10 ** Math.floor(Math.log10(rough));
    const step = power * [1, 2, 5, 10].find((each) => each * power >= rough);
    for (let tick = Math.ceil(from / step) * step; tick <= to; tick += step) {
      pen.fillStyle = inks.line;
      pen.fillRect(x(tick), WAITING, 1, top(lanes.length) - WAITING);
      pen.fillStyle = inks.soft;
      if (x(tick) < width - 44) text(time(tick), x(tick) + 3, WAITING + AXIS / 2, 90);
    }
  };

  const drawLanes = () => {
    const every = Math.ceil(13 / laneHeight);
    pen.fillStyle = inks.soft;
    for (let lane = 0; lane < lanes.length; lane += every) text(lanes[lane], 0, top(lane) + (every > 1 ? 7 : laneHeight / 2), gutter - 8);
  };

  const drawBars = () => {
    const gap = laneHeight > 5 ? 2 : laneHeight > 2 ? 1 : 0;
    states.forEach((_, state) => {
      pen.fillStyle = colours[state];
      for (let bar = 0; bar < total; bar++) {
        if (bars.state[bar] !== state || bars.start[bar] > to || end(bar) < from) continue;
        const left = Math.max(gutter, x(bars.start[bar])), right = Math.min(width, x(end(bar)));
        // An attempt that was followed by another one is half as high.
        const height = laneHeight - gap, half = states[state] === "retried" && height > 3 ? height / 2 : 0;
        pen.fillRect(left, top(bars.lane[bar]) + half, Math.max(1, right - left - (right - left > 4 ? 1 : 0)), height - half);
      }
    });
  };

  const drawChosen = () => {
    if (chosen < 0) return;
    const left = Math.max(gutter, x(bars.start[chosen])), right = Math.min(width, x(end(chosen)));
    const y = top(bars.lane[chosen]);
    pen.fillStyle = inks.ink;
    const since = Math.max(gutter, x(bars.start[chosen] - bars.wait[chosen]));
    if (bars.wait[chosen] && since < left) pen.fillRect(since, y + laneHeight / 2 - 1, left - since, 2);
    pen.strokeStyle = inks.ink;
    pen.lineWidth = 2;
    if (right >= gutter && left <= width) pen.strokeRect(left - 1, y - 1, Math.max(3, right - left + 1), laneHeight);
  };

  const draw = () => {
    pen.clearRect(0, 0, width, top(lanes.length) + 2);
    pen.font = '12px system-ui, "Segoe UI", Roboto, sans-serif';
    pen.textBaseline = "middle";
    drawWaiting();
    drawAxis();
    drawLanes();
    drawBars();
    drawChosen();
  };

  const redraw = () => { readColours(); measure(); draw(); };

  const show = (begin, length) => {
    length = Math.min(duration, Math.max(20, length));
    from = Math.min(Math.max(0, begin), duration - length);
    to = from + length;
    draw();
  };
  const focus = () => (chosen >= 0 && end(chosen) > from && bars.start[chosen] < to ? bars.start[chosen] + bars.length[chosen] / 2 : (from + to) / 2);
  const zoom = (factor, around = focus()) => show(around - (around - from) * factor, (to - from) * factor);
  const pan = (share) => show(from + share * (to - from), to - from);

  const describe = (bar) => {
    const lane = lanes[bars.lane[bar]], began = time(bars.start[bar]), took = time(bars.length[bar]), state = states[bars.state[bar]];
    if (bars.tasks[bar] > 1) {
      const of = bars.name[bar] < 0 ? "" : ` of ${names[bars.name[bar]]}`;
      return `${bars.tasks[bar].toLocaleString("en")} short tasks${of} on ${lane}, from ${began} on, for ${took}: ${bars.state[bar] ? `the worst ${state}` : "all succeeded"}`;
    }
    const attempt = bars.attempt[bar] > 1 || state === "retried" ? `, attempt ${bars.attempt[bar]}` : "";
    const wait = bars.wait[bar] ? `, after it had waited ${time(bars.wait[bar])}` : "";
    return `${bars.name[bar] < 0 ? "a task" : names[bars.name[bar]]} (index ${bars.place[bar]})${attempt} on ${lane}: ${state}; began at ${began}${wait}; took ${took}`;
  };

  const choose = (bar) => {
    chosen = bar;
    told.textContent = bar < 0 ? "No task is chosen." : describe(bar);
    if (bar >= 0 && (end(bar) < from || bars.start[bar] > to)) show(bars.start[bar] - (to - from) / 2, to - from);
    else draw();
  };

  /** The bar of a lane that is nearest to a moment. */
  const nearest = (lane, moment) => {
    let best = -1, distance = Infinity;
    for (let bar = firsts[lane]; bar < firsts[lane + 1]; bar++) {
      const away = moment < bars.start[bar] ? bars.start[bar] - moment : Math.max(0, moment - end(bar));
      if (away < distance) [best, distance] = [bar, away];
    }
    return best;
  };
  const under = (event) => {
    const box = canvas.getBoundingClientRect(), lane = Math.floor((event.clientY - box.top - WAITING - AXIS) / laneHeight);
    const px = event.clientX - box.left;
    if (lane < 0 || lane >= lanes.length || px < gutter) return -1;
    const bar = nearest(lane, at(px));
    return bar >= 0 && x(bars.start[bar]) - 4 <= px && px <= x(end(bar)) + 4 ? bar : -1;
  };

  let held = null;
  canvas.addEventListener("pointerdown", (event) => {
    held = { x: event.clientX, from, moved: false };
    canvas.setPointerCapture(event.pointerId);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!held) return;
    const moved = event.clientX - held.x;
    held.moved = held.moved || Math.abs(moved) > 4;
    if (held.moved) show(held.from - (moved / (width - gutter)) * (to - from), to - from);
  });
  canvas.addEventListener("pointerup", (event) => {
    if (held && !held.moved) choose(under(event));
    held = null;
  });
  canvas.addEventListener("pointercancel", () => { held = null; });
  canvas.addEventListener("dblclick", (event) => zoom(0.4, at(event.clientX - canvas.getBoundingClientRect().left)));
  canvas.addEventListener("wheel", (event) => {
    if (!event.ctrlKey && !event.metaKey) return;
    event.preventDefault();
    zoom(event.deltaY < 0 ? 0.8 : 1.25, at(event.clientX - canvas.getBoundingClientRect().left));
  }, { passive: false });

  /** Step from task to task: along a lane, or to the nearest one of the lanes above or below. */
  const step = (along, across) => {
    if (!total) return;
    if (chosen < 0) return choose(0);
    if (along) return choose(Math.min(total - 1, Math.max(0, chosen + along)));
    for (let lane = bars.lane[chosen] + across; lane >= 0 && lane < lanes.length; lane += across) {
      const bar = nearest(lane, bars.start[chosen]);
      if (bar >= 0) return choose(bar);
    }
  };
  const keys = {
    ArrowLeft: () => step(-1, 0), ArrowRight: () => step(1, 0), ArrowUp: () => step(0, -1), ArrowDown: () => step(0, 1),
    "+": () => zoom(0.5), "=": () => zoom(0.5), "-": () => zoom(2), 0: () => show(0, duration),
    PageUp: () => pan(-0.5), PageDown: () => pan(0.5), Escape: () => choose(-1),
  };
  canvas.addEventListener("keydown", (event) => {
    if (!keys[event.key] || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    keys[event.key]();
  });

  const buttons = {
    "zoom-in": () => zoom(0.5), "zoom-out": () => zoom(2), earlier: () => pan(-0.5), later: () => pan(0.5), whole: () => show(0, duration),
  };
  for (const [id, press] of Object.entries(buttons)) find(id).addEventListener("click", press);

  new ResizeObserver(redraw).observe(canvas.parentElement);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  const printing = (on) => () => { document.documentElement.classList.toggle("printing", on); redraw(); };
  addEventListener("beforeprint", printing(true));
  addEventListener("afterprint", printing(false));
  find("timeline-missing").hidden = true;
  redraw();
})();
