// Extras only: a report can be read in full without them.
(function () {
  document.querySelectorAll("pre.copy").forEach(function (box) {
    if (!navigator.clipboard) return;
    var code = box.querySelector("code"), button = document.createElement("button");
    button.textContent = "Copy";
    button.addEventListener("click", function () {
      navigator.clipboard.writeText(code.textContent).then(function () {
        button.textContent = "Copied";
        setTimeout(function () { button.textContent = "Copy"; }, 1500);
      });
    });
    box.appendChild(button);
  });
  document.querySelectorAll(".traversal").forEach(function (figure) {
    var film = figure.querySelector(".film"), image = film.querySelector("img");
    var count = Number(film.parentNode.style.getPropertyValue("--n"));
    if (count < 2) return;
    var player = document.createElement("button"), at = (count - 1) >> 1, timer = 0, way = 1;
    function show(k) {
      at = Math.max(0, Math.min(count - 1, k));
      player.style.backgroundPosition = (100 * at / (count - 1)) + "% 0";
    }
    var high = Number(image.getAttribute("height")), wide = Number(image.getAttribute("width")) / count;
    function size() {
      var scale = Math.max(1, Math.floor((innerWidth > 640 ? 128 : 64) / Math.max(high, wide)));
      player.style.height = scale * high + "px";
      player.style.width = scale * wide + "px";
    }
    player.className = "player";
    player.setAttribute("aria-label", "Play or pause this traversal");
    player.title = "Click to play; move over the strip to scrub";
    player.style.backgroundImage = "url(" + image.src + ")";
    player.style.backgroundSize = (100 * count) + "% 100%";
    player.addEventListener("click", function () {
      if (!player.classList.toggle("playing")) { clearInterval(timer); return; }
      timer = setInterval(function () {
        if (at + way < 0 || at + way >= count) way = -way;
        show(at + way);
      }, 160);
    });
    film.addEventListener("pointermove", function (event) {
      var box = film.getBoundingClientRect();
      show(Math.floor(count * (event.clientX - box.left) / box.width));
    });
    figure.appendChild(player);
    size();
    window.addEventListener("resize", size);
    show(at);
  });
  window.addEventListener("beforeprint", function () {
    document.querySelectorAll(".information details, .curves + details, .references + details").forEach(function (part) { part.open = true; });
  });
})();
