"use strict";
(() => {
  const tip = document.getElementById("tip");

  // Values of points: told to whoever points at them, touches them or reaches them by keyboard.
  for (const mark of document.querySelectorAll(".mark")) {
    const title = mark.querySelector("title");
    mark.setAttribute("aria-label", title.textContent);
    title.remove();
  }
  const markOf = (event) => (event.target.closest ? event.target.closest(".mark") : null);
  const show = (mark) => {
    tip.textContent = mark.getAttribute("aria-label");
    tip.hidden = false;
    const at = mark.getBoundingClientRect(), own = tip.getBoundingClientRect();
    const left = at.left + at.width / 2 - own.width / 2;
    const above = at.top - own.height - 8;
    tip.style.left = Math.max(8, Math.min(left, document.documentElement.clientWidth - own.width - 8)) + "px";
    tip.style.top = (above > 4 ? above : at.bottom + 8) + "px";
  };
  const hide = () => { tip.hidden = true; };
  for (const begin of ["pointerover", "focusin", "click"]) {
    document.addEventListener(begin, (event) => { const mark = markOf(event); if (mark) show(mark); });
  }
  for (const end of ["pointerout", "focusout"]) {
    document.addEventListener(end, (event) => { if (markOf(event)) hide(); });
  }
  document.addEventListener("scroll", hide, { passive: true });

  // One stop of the tab key for each figure; arrows go from point to point.
  document.addEventListener("keydown", (event) => {
    const mark = markOf(event);
    if (event.key === "Escape") hide();
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (!mark || !step) return;
    event.preventDefault();
    const marks = [...mark.ownerSVGElement.querySelectorAll(".mark")];
    const next = marks[(marks.indexOf(mark) + step + marks.length) % marks.length];
    mark.setAttribute("tabindex", "-1");
    next.setAttribute("tabindex", "0");
    next.focus();
  });

  // Tables sort by a column: what is empty stays last.
  const key = (row, column) => {
    const cell = row.cells[column];
    return cell.dataset.v === undefined ? cell.textContent : Number(cell.dataset.v === "inf" ? Infinity : cell.dataset.v === "-inf" ? -Infinity : cell.dataset.v);
  };
  const compare = (a, b) => (typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b), "en", { numeric: true }));
  document.addEventListener("click", (event) => {
    const button = event.target.closest ? event.target.closest("th button") : null;
    if (!button) return;
    const head = button.parentElement, table = head.closest("table"), body = table.tBodies[0];
    const direction = head.getAttribute("aria-sort") === "ascending" ? "descending" : "ascending";
    for (const other of head.parentElement.cells) other.setAttribute("aria-sort", "none");
    head.setAttribute("aria-sort", direction);
    const sign = direction === "ascending" ? 1 : -1, column = head.cellIndex;
    const rows = [...body.rows].map((row) => [key(row, column), row]);
    rows.sort(([a], [b]) => (a === "" || b === "" ? (a === "") - (b === "") : sign * compare(a, b)));
    body.append(...rows.map(([, row]) => row));
  });
})();
