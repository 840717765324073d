"use strict";
// What a page can do more with a script; everything that one must read is there without it.
(() => {
  const own = document.currentScript;
  const library = own && own.dataset.plotly;

  // A filter for long tables.
  for (const box of document.querySelectorAll(".filter")) {
    const rows = [...document.querySelectorAll("table.series tbody tr")];
    const input = box.querySelector("input"), said = box.querySelector("[role=status]");
    box.hidden = rows.length < 15;
    input.addEventListener("input", () => {
      const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
      let left = 0;
      for (const row of rows) {
        if (!row.querySelector("td")) { row.hidden = words.length > 0; continue; }
        const text = row.textContent.toLowerCase();
        row.hidden = !words.every((word) => text.includes(word));
        if (!row.hidden) left += 1;
      }
      said.textContent = words.length ? `${left} shown` : "";
    });
  }

  // Commands to copy; pages from a file may not write to the clipboard in every browser.
  if (navigator.clipboard) {
    for (const place of document.querySelectorAll(".command")) {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = "copy";
      button.addEventListener("click", () => navigator.clipboard
        .writeText(place.querySelector("code").textContent)
        .then(() => { button.textContent = "copied"; }, () => button.remove()));
      place.append(button);
    }
  }

  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const rgba = (name, alpha) => {
    const hex = css(name).slice(1, 7);
    const parts = [0, 2, 4].map((at) => parseInt(hex.slice(at, at + 2), 16));
    return `rgba(${parts.join(",")},${alpha})`;
  };

  const base = (more) => ({
    autosize: true, showlegend: false, hovermode: "closest", dragmode: "zoom",
    margin: { l: 64, r: 12, t: 24, b: 32 },
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
    font: { family: "system-ui, sans-serif", size: 12, color: css("--faint") },
    hoverlabel: { bgcolor: css("--raised"), bordercolor: css("--rule"), font: { color: css("--ink") } },
    ...more,
  });
  const axis = (more) => ({
    gridcolor: css("--rule"), linecolor: css("--rule"), zeroline: false, ...more,
  });

  // The nights of a series, read from the table that everybody can read.
  function nights(figure) {
    const table = figure.closest("section,main").querySelector("table.nights");
    const found = [];
    let month = "";
    for (const row of table.tBodies[0].rows) {
      if (row.cells.length === 1) { month = row.textContent.trim(); continue; }
      const [day, value, change, verdict] = [...row.cells].map((cell) => cell.textContent.trim());
      const place = value ? Number(value) : null;
      found.push({
        night: `${month}-${day}`, place: "", value: place, change: change ? Number(change) : null, verdict,
      });
    }
    found.reverse();
    // Several nights may have started on one day, and a category axis needs names that differ.
    const days = new Map();
    for (const one of found) {
      const count = (days.get(one.night) || 0) + 1;
      days.set(one.night, count);
      one.place = count > 1 ? `${one.night} (${count})` : one.night;
    }
    const limits = figure.dataset.limits.split(" ").filter(Boolean).map((one) => one.split(":").map(Number));
    found.forEach((one, index) => {
      while (limits.length > 1 && limits[1][0] <= index) limits.shift();
      if (limits.length && limits[0][0] <= index && one.change !== null) {
        one.limit = limits[0][1] / 100;
        one.baseline = one.value / (1 + one.change / 100);
      }
    });
    return found;
  }

  // The runs, read from the path whose markers are the dots: where a night starts, and steps down.
  function runs(figure, all) {
    const path = figure.querySelector("path.r");
    if (!path) return { x: [], y: [] };
    const box = path.ownerSVGElement.viewBox.baseVal;
    const [low, high] = path.dataset.y.split(" ").map(Number);
    const found = { x: [], y: [] }, first = 60, step = (box.width - 2 * first) / Math.max(1, all.length - 1);
    let x = 0, y = 0;
    const add = () => {
      const one = all[Math.round((x - first) / step)];
      if (!one) return;
      found.x.push(one.place);
      found.y.push(high - (high - low) * y / box.height);
    };
    for (const [, letter, text] of path.getAttribute("d").matchAll(/([Mlv])([^Mlv]*)/g)) {
      const numbers = text.match(/-?\d+/g).map(Number);
      if (letter === "v") {
        for (const down of numbers) { y += down; add(); }
      } else {
        x = (letter === "M" ? 0 : x) + numbers[0];
        y = (letter === "M" ? 0 : y) + numbers[1];
        add();
      }
    }
    return found;
  }

  const symbols = { "▼": "triangle-down", "▲": "triangle-up", "◆": "diamond", "▽": "triangle-down-open" };
  const colours = { "▼": "--worse", "▲": "--better", "◆": "--open", "▽": "--open" };

  function seriesFigure(figure) {
    const all = nights(figure), known = all.filter((one) => one.value !== null);
    const banded = known.filter((one) => one.limit !== undefined);
    const bad = known.filter((one) => symbols[one.verdict[0]]);
    const marks = [...figure.closest("section,main").querySelectorAll("table.marks tbody tr")]
      .map((row) => [Number(row.dataset.n), row.cells[0].textContent.trim()]);
    const letters = new Map(marks);
    const edge = (sign) => banded.map((one) => one.baseline * (1 + sign * one.limit));
    const hidden = { mode: "lines", line: { width: 0 }, hoverinfo: "skip", x: banded.map((one) => one.place) };
    const data = [
      { ...hidden, y: edge(-1) },
      { ...hidden, y: edge(1), fill: "tonexty", fillcolor: rgba("--line", 0.12) },
      {
        mode: "markers", marker: { size: 4, color: rgba("--line", 0.4) },
        ...runs(figure, all),
        hovertemplate: "%{x}, one run: %{y:.4~g}<extra></extra>",
      },
      {
        mode: "lines+markers", line: { color: css("--line"), width: 1.8 }, marker: { size: 3 },
        x: all.map((one) => one.place), y: all.map((one) => one.value),
        customdata: all.map((one) => `${one.change === null ? "" : `${one.change} %, `}${one.verdict}`),
        hovertemplate: "%{x}: %{y:.5~g} samples/s<br>%{customdata}<extra></extra>",
      },
      {
        mode: "markers", hoverinfo: "skip", x: bad.map((one) => one.place), y: bad.map((one) => one.value),
        marker: {
          size: 11, symbol: bad.map((one) => symbols[one.verdict[0]]),
          color: bad.map((one) => css(colours[one.verdict[0]])),
        },
      },
    ];
    // A letter is about what changed before its night.
    const shapes = [...letters.keys()].map((index) => ({
      type: "line", x0: index - 0.5, x1: index - 0.5, yref: "paper", y0: 0, y1: 1,
      line: { color: css("--ink"), width: 1, dash: "dot" }, opacity: 0.65,
    }));
    const annotations = [...letters].map(([index, letter]) => ({
      x: index - 0.5, yref: "paper", y: 1, yanchor: "bottom", showarrow: false,
      text: `<b>${letter}</b>`, font: { color: css("--ink") },
    }));
    annotations.push({
      xref: "paper", x: 0, yref: "paper", y: 1, yanchor: "bottom", showarrow: false, text: "samples/s",
    });
    const range = figure.querySelector("path.r")?.dataset.y.split(" ").map(Number);
    return {
      data,
      layout: base({
        shapes, annotations, xaxis: axis({
          type: "category", categoryarray: all.map((one) => one.place), nticks: 8, tickangle: 0,
          showgrid: false, range: [-1, all.length],
        }),
        yaxis: axis({ range, tickformat: ",.4~g" }),
      }),
    };
  }

  function panelFigure(figure) {
    const panels = JSON.parse(figure.dataset.panels), gap = 34 / (100 * panels.length);
    const height = (1 - gap * (panels.length - 1)) / panels.length;
    const layout = base({ hovermode: "x", annotations: [] });
    layout.xaxis = axis({ title: { text: "seconds" }, anchor: `y${panels.length === 1 ? "" : panels.length}` });
    const data = panels.map((panel, index) => {
      const number = index ? index + 1 : "", top = 1 - index * (height + gap);
      layout[`yaxis${number}`] = axis({ domain: [Math.max(0, top - height), top], nticks: 4 });
      layout.annotations.push({
        xref: "paper", yref: "paper", x: 0, y: top, yanchor: "bottom", showarrow: false,
        text: `${panel.title} (${panel.unit})`.replace(/[<&]/g, " "),
      });
      return {
        x: panel.x, y: panel.y, yaxis: `y${number}`, mode: "lines", line: { color: css("--line"), width: 1.4 },
        hovertemplate: `%{y:.4~g} <extra></extra>`,
      };
    });
    return { data, layout, height: 60 + 100 * panels.length };
  }

  const drawn = [];
  function draw(figure) {
    const still = figure.querySelector("svg.chart");
    if (!still || !window.Plotly) return;
    const made = figure.dataset.panels ? panelFigure(figure) : seriesFigure(figure);
    const place = document.createElement("div");
    place.className = "drawn";
    place.setAttribute("role", "img");
    place.setAttribute("aria-label", still.getAttribute("aria-label"));
    if (made.height) place.style.height = `${made.height}px`;
    still.before(place);
    drawn.push([figure, place]);
    window.Plotly.newPlot(place, made.data, made.layout, { displayModeBar: false, responsive: true });
  }

  let loading = null;
  function loaded() {
    if (window.Plotly || !library) return Promise.resolve();
    loading ??= new Promise((done) => {
      const script = document.createElement("script");
      script.src = library;
      script.onload = script.onerror = done;
      document.head.append(script);
    });
    return loading;
  }

  const figures = document.querySelectorAll("figure[data-limits],figure[data-panels]");
  if (figures.length && (window.Plotly || library)) {
    const watch = new IntersectionObserver((entries) => {
      for (const entry of entries.filter((one) => one.isIntersecting)) {
        watch.unobserve(entry.target);
        loaded().then(() => draw(entry.target));
      }
    });
    figures.forEach((figure) => watch.observe(figure));
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
      for (const [figure, place] of drawn) {
        const made = figure.dataset.panels ? panelFigure(figure) : seriesFigure(figure);
        window.Plotly.react(place, made.data, made.layout);
      }
    });
  }
})();
