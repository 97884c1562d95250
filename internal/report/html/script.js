// Comfort only: everything can be read and followed without it.
(() => {
  'use strict';
  const all = (root, what) => Array.from(root.querySelectorAll(what));

  // Commands can be copied.
  for (const box of all(document, '.command')) {
    const code = box.querySelector('code');
    const b = document.createElement('button');
    b.type = 'button';
    b.className = 'copy';
    b.textContent = 'Copy';
    b.setAttribute('aria-label', 'Copy the command ' + code.textContent);
    b.addEventListener('click', async () => {
      let done = false;
      try {
        await navigator.clipboard.writeText(code.textContent);
        done = true;
      } catch {
        const range = document.createRange();
        range.selectNodeContents(code);
        const s = getSelection();
        s.removeAllRanges();
        s.addRange(range);
        done = document.execCommand('copy');
      }
      b.textContent = done ? 'Copied' : 'Press Ctrl+C';
      setTimeout(() => { b.textContent = 'Copy'; }, 2000);
    });
    box.append(b);
  }

  // A sentence lights up its frames, a frame the sentences that rest on it.
  // The row of frame 12 in a picture has an id that ends in frame-12.
  const framesOf = (e) => (e.dataset.frames || e.dataset.frame || e.id.replace(/^.*frame-/, '')).split(' ').filter(Boolean);
  for (const article of all(document, 'article')) {
    const marked = all(article, '[data-frame],[data-frames],.row');
    const light = (from, on) => {
      const frames = framesOf(from);
      for (const e of marked) {
        if (framesOf(e).some((f) => frames.includes(f))) e.classList.toggle('lit', on);
      }
    };
    for (const e of marked) {
      e.addEventListener('mouseenter', () => light(e, true));
      e.addEventListener('mouseleave', () => light(e, false));
      e.addEventListener('focusin', () => light(e, true));
      e.addEventListener('focusout', () => light(e, false));
    }
  }

  // What is folded opens where a link leads into it, and on paper.
  const details = all(document, 'details');
  const reveal = () => {
    const to = location.hash.length > 1 && document.getElementById(location.hash.slice(1));
    for (let e = to; e; e = e.parentElement) if (e.tagName === 'DETAILS') e.open = true;
  };
  addEventListener('hashchange', reveal);
  reveal();
  let folded = [];
  addEventListener('beforeprint', () => {
    folded = details.filter((d) => !d.open);
    for (const d of folded) d.open = true;
  });
  addEventListener('afterprint', () => { for (const d of folded) d.open = false; });

  const tools = document.querySelector('.tools');
  for (const [label, open] of [['Expand all', true], ['Fold all', false]]) {
    const b = document.createElement('button');
    b.type = 'button';
    b.textContent = label;
    b.addEventListener('click', () => { for (const d of details) d.open = open; });
    tools.append(b, ' ');
  }
})();
