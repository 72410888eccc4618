document.querySelectorAll("table").forEach(table => {
  const body = table.tBodies[0];
  if (!body || body.rows.length < 2) return;
  table.classList.add("sortable");
  [...table.tHead.rows[0].cells].forEach((head, i) => {
    head.tabIndex = 0;
    const sort = () => {
      const down = head.getAttribute("aria-sort") !== "descending";
      const key = row => {
        const cell = row.cells[i];
        return cell.dataset.key === undefined ? NaN : Number(cell.dataset.key);
      };
      const text = row => row.cells[i].textContent;
      const order = (a, b) => {
        const [x, y] = [key(a), key(b)];
        if (isNaN(x) && isNaN(y)) return down ? text(a).localeCompare(text(b)) : text(b).localeCompare(text(a));
        if (isNaN(x)) return 1;
        if (isNaN(y)) return -1;
        return down ? y - x : x - y;
      };
      [...table.tHead.rows[0].cells].forEach(other => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      [...body.rows].sort(order).forEach(row => body.append(row));
    };
    head.addEventListener("click", sort);
    head.addEventListener("keydown", event => {
      if (event.key === "Enter" || event.key === " ") { event.preventDefault(); sort(); }
    });
  });
});
