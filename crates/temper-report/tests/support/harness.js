"use strict";
(() => {
  const errors = [];
  addEventListener("error", (event) => errors.push(String(event.message || event.target)), true);
  addEventListener("unhandledrejection", (event) => errors.push(String(event.reason)));
  document.addEventListener("securitypolicyviolation", (event) => errors.push("policy: " + event.violatedDirective));
  const own = console.error;
  console.error = (...words) => { errors.push(words.join(" ")); own(...words); };

  const visible = (element) => element.getClientRects().length > 0;
  const name = (element) => element.tagName + "#" + element.id + "." + element.className + " " + element.textContent.slice(0, 40);

  // What sticks out of the page, other than in boxes that scroll by themselves.
  const sticksOut = () => {
    const width = document.documentElement.clientWidth;
    const elements = [...document.querySelectorAll("body *")].filter((e) => visible(e) && !e.closest(".scroll, pre, svg, #tip"));
    return elements.filter((e) => e.getBoundingClientRect().right > width + 1 || e.getBoundingClientRect().left < -1).map(name);
  };
  // Texts of figures that lie outside their picture, and those that lie on each other.
  const texts = () => {
    const clipped = [], overlapping = [];
    for (const svg of [...document.querySelectorAll("svg")].filter(visible)) {
      const frame = svg.getBoundingClientRect();
      const boxes = [...svg.querySelectorAll("text")].map((text) => [text, text.getBoundingClientRect()]);
      for (const [text, box] of boxes) {
        if (box.left < frame.left - 2 || box.right > frame.right + 2 || box.top < frame.top - 2 || box.bottom > frame.bottom + 2) {
          clipped.push(svg.closest("figure").id + ": " + text.textContent.trim());
        }
      }
      for (let i = 0; i < boxes.length; i++) {
        for (let j = i + 1; j < boxes.length; j++) {
          const [a, b] = [boxes[i][1], boxes[j][1]];
          const across = Math.min(a.right, b.right) - Math.max(a.left, b.left);
          const down = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
          if (across > 1 && down > 4) {
            overlapping.push(svg.closest("figure").id + ": " + boxes[i][0].textContent.trim() + " / " + boxes[j][0].textContent.trim());
          }
        }
      }
    }
    return { clipped, overlapping };
  };
  // Every colour of a figure is one of the style sheet's.
  const unmapped = () => {
    const colors = new Set();
    for (const element of document.querySelectorAll("svg [fill], svg [stroke]")) {
      for (const attribute of ["fill", "stroke"]) {
        const value = element.getAttribute(attribute);
        if (!value || value === "none") continue;
        const [r, g, b] = [1, 3, 5].map((i) => parseInt(value.slice(i, i + 2), 16));
        if (matchMedia("(prefers-color-scheme: dark)").matches && visible(element) && getComputedStyle(element)[attribute] === `rgb(${r}, ${g}, ${b})`) colors.add(value);
      }
    }
    return [...colors];
  };
  const sorted = () => {
    const table = [...document.querySelectorAll("table")].find((t) => t.tBodies[0].rows.length > 1 && t.querySelector("td[data-v]"));
    if (!table) return null;
    const column = [...table.tBodies[0].rows[0].cells].findIndex((cell) => cell.dataset.v !== undefined);
    const values = () => [...table.tBodies[0].rows].map((row) => row.cells[column].dataset.v).filter((v) => v !== undefined).map(Number);
    const head = table.tHead.rows[0].cells[column];
    head.firstElementChild.click();
    const up = values(), first = head.getAttribute("aria-sort");
    head.firstElementChild.click();
    const down = values(), second = head.getAttribute("aria-sort");
    const rising = (list) => list.every((v, i) => i === 0 || list[i - 1] <= v);
    return rising(up) && rising(down.slice().reverse()) && first === "ascending" && second === "descending";
  };
  const hovering = () => {
    const tip = document.getElementById("tip");
    const mark = [...document.querySelectorAll(".mark")].find(visible);
    if (!mark) return null;
    mark.dispatchEvent(new PointerEvent("pointerover", { bubbles: true }));
    const hovered = !tip.hidden && tip.textContent === mark.getAttribute("aria-label") && tip.textContent.length > 3;
    const box = tip.getBoundingClientRect();
    const inside = box.left >= 0 && box.right <= innerWidth;
    mark.dispatchEvent(new PointerEvent("pointerout", { bubbles: true }));
    const gone = tip.hidden;
    mark.focus();
    const focused = document.activeElement === mark && !tip.hidden;
    mark.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowRight", bubbles: true, cancelable: true }));
    const moved = mark.ownerSVGElement.querySelectorAll(".mark").length < 2 || document.activeElement !== mark;
    document.activeElement.blur();
    return hovered && inside && gone && focused && moved;
  };

  addEventListener("load", () => {
    const found = {
      width: innerWidth,
      dark: matchMedia("(prefers-color-scheme: dark)").matches,
      overflow: document.documentElement.scrollWidth - document.documentElement.clientWidth,
      sticksOut: sticksOut(),
      ...texts(),
      unmapped: unmapped(),
      figures: [...document.querySelectorAll("figure")].length,
      drawn: [...document.querySelectorAll("figure svg")].filter(visible).length,
      narrow: [...document.querySelectorAll(".narrow svg")].filter(visible).length,
      smallest: Math.min(99, ...[...document.querySelectorAll("svg text")].filter(visible).map((t) => t.getBoundingClientRect().height)),
      sorted: sorted(),
      hovering: hovering(),
      requests: performance.getEntriesByType("resource").map((entry) => entry.name).filter((url) => !url.startsWith("data:")),
      errors,
    };
    parent.postMessage(JSON.stringify(found), "*");
  });
})();
