
// Sliders over pictures that were drawn beforehand: a sheet for each start, a row for each latent.
(function () {
  document.querySelectorAll(".scrub").forEach(function (box) {
    var canvas = box.querySelector("canvas"), pen = canvas.getContext("2d"), now = box.querySelector(".now");
    var sheets = box.querySelectorAll(".sheet"), sliders = box.querySelectorAll(".slider input");
    var width = Number(box.dataset.width), height = Number(box.dataset.height), start = 0, last = null;
    function draw(row, column) {
      var sheet = sheets[start];
      function paint() { pen.drawImage(sheet, column * width, row * height, width, height, 0, 0, width, height); }
      if (sheet.complete) paint(); else sheet.onload = paint;
    }
    function words(slider) { return slider.dataset.values.split(" ")[Number(slider.value)]; }
    function tell(slider) {
      slider.setAttribute("aria-valuetext", words(slider));
      slider.closest(".slider").querySelector("output").textContent = words(slider);
    }
    function rest(slider) {
      slider.value = slider.dataset.starts.split(" ")[start];
      tell(slider);
    }
    function begin(which) {
      start = which;
      last = null;
      sliders.forEach(rest);
      draw(0, 0);
      now.textContent = "Move a slider: the picture follows.";
    }
    sliders.forEach(function (slider) {
      slider.addEventListener("input", function () {
        if (last && last !== slider) rest(last);
        last = slider;
        tell(slider);
        draw(Number(slider.dataset.row), Number(slider.value));
        now.textContent = slider.closest(".slider").querySelector("b").textContent + " at " + words(slider);
      });
    });
    box.querySelectorAll(".starts input").forEach(function (radio, place) {
      radio.addEventListener("change", function () { begin(place); });
      if (radio.checked) start = place;
    });
    begin(start);
  });
})();
