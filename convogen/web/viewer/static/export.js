// The exported page: the search hides other conversations, and a link to a conversation expands it.
(() => {
  const ones = all("details.one");
  const filter = document.getElementById("q");
  const left = document.querySelector("[data-left]");
  const texts = ones.map((one) => one.textContent.toLowerCase());
  filter?.addEventListener("input", () => {
    const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    ones.forEach((one, at) => {
      one.hidden = !words.every((word) => texts[at].includes(word));
      shown += one.hidden ? 0 : 1;
    });
    left.textContent = `${shown} of ${ones.length} conversations`;
  });
  const unfoldTarget = () => {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)))?.closest("details.one");
    if (target) target.open = true;
  };
  window.addEventListener("hashchange", unfoldTarget);
  unfoldTarget();
})();
