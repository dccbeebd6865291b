// Clauses: a note for readers who follow a citation, details by keyboard and pointer, and a button that copies the
// citation. Without this script the details open like any HTML details.
'use strict';
(() => {
    // Put the skip link before the list of chapters, for readers with a keyboard.
    const skip = document.querySelector('.skip-link');
    if (skip) {
        document.body.prepend(skip);
    }

    function clauseAtFragment() {
        let id = location.hash.slice(1);
        try {
            id = decodeURIComponent(id);
        } catch {
            // Not encoded: use the text unchanged.
        }
        const target = document.getElementById(id);
        return target && target.closest('.clause');
    }

    // page.html?9f2c41d8#some.clause: the hash of the clause when it was cited.
    const cited = /^\?([0-9a-f]{8})(?:[=&]|$)/.exec(location.search);
    const clause = clauseAtFragment();
    if (cited && clause) {
        const now = clause.dataset.hash;
        const note = document.createElement('p');
        note.className = 'clause-note';
        note.setAttribute('role', 'status');
        const notes = {
            [clause.dataset.formerHash]: ', by the former scheme of hashes: this is the current text. ' +
                `It is now ${now}.`,
            [now]: ': this is the current state of the clause.',
        };
        note.textContent = `Cited as ${cited[1]}` +
            (notes[cited[1]] ?? `; the clause has changed since. It is now ${now}.`);
        clause.querySelector('.clause-head').after(note);
        note.scrollIntoView({ block: 'center' });
    }
    // The hash belongs to the cited clause, so drop it when the reader goes to another clause.
    window.addEventListener('hashchange', () => {
        if (cited) {
            history.replaceState(null, '', location.pathname + location.hash);
        }
    });

    const HOVER_MS = 350;
    for (const details of document.querySelectorAll('.clause-details')) {
        const summary = details.querySelector('summary');
        let timer;
        summary.addEventListener('pointerenter', event => {
            if (event.pointerType === 'mouse' && !details.open) {
                timer = setTimeout(() => {
                    details.open = true;
                    details.dataset.hover = '';
                }, HOVER_MS);
            }
        });
        details.addEventListener('pointerleave', () => {
            clearTimeout(timer);
            if ('hover' in details.dataset && !details.contains(document.activeElement)) {
                close(details);
            }
        });
        // A click keeps details open that only the pointer had opened.
        summary.addEventListener('click', event => {
            clearTimeout(timer);
            if ('hover' in details.dataset) {
                delete details.dataset.hover;
                event.preventDefault();
            }
        });
    }

    function close(details) {
        details.open = false;
        delete details.dataset.hover;
    }

    document.addEventListener('keydown', event => {
        if (event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) {
            return;
        }
        if (event.key === 'Escape') {
            const open = document.activeElement.closest('.clause-details[open]')
                || document.querySelector('.clause-details[open][data-hover]');
            if (open) {
                if (open.contains(document.activeElement)) {
                    open.querySelector('summary').focus();
                }
                close(open);
                event.stopPropagation();
            }
        } else if (event.key.startsWith('Arrow') && event.target.closest('.clause-details, .table-wrapper, pre')) {
            // Arrow keys scroll these elements; mdBook would turn the page.
            event.stopPropagation();
        }
    }, true);

    async function copy(text) {
        try {
            await navigator.clipboard.writeText(text);
            return true;
        } catch {
            // The clipboard API is forbidden, or missing because the page was not served over https.
            const area = document.createElement('textarea');
            area.value = text;
            area.className = 'clause-copy-area';
            document.body.append(area);
            area.select();
            const done = document.execCommand('copy');
            area.remove();
            return done;
        }
    }

    document.addEventListener('click', async event => {
        const button = event.target.closest('.clause-copy');
        if (button) {
            const box = button.closest('.clause-box');
            const done = await copy(box.querySelector('.clause-citation').textContent);
            button.focus();
            box.querySelector('.clause-copied').textContent = done ? 'Copied.' : 'Not copied: select the text instead.';
        }
    });
})();
