-- A session with the language server: what a person would do, and what the editor must show. See ../editor.rs.

local LIMIT = 60000

local client = vim.lsp.start_client({ name = 'iomap-spec', cmd = { vim.env.IOMAP_SPEC, 'lsp' }, root_dir = vim.fn.getcwd() })

local function wait(what, is_so)
  assert(vim.wait(LIMIT, is_so, 10), what .. ' did not come: ' .. vim.inspect(vim.diagnostic.get()))
end

local function open(file)
  vim.cmd('edit ' .. file)
  vim.lsp.buf_attach_client(0, client)
end

-- Puts the cursor on the first match.
local function at(pattern)
  vim.fn.cursor(1, 1)
  assert(vim.fn.search(pattern, 'c') > 0, pattern .. ' is not in ' .. vim.fn.bufname())
end

local function ask(method, more)
  local params = vim.tbl_extend('error', vim.lsp.util.make_position_params(0, 'utf-16'), more or {})
  local answers, reason = vim.lsp.buf_request_sync(0, method, params, LIMIT)
  assert(answers and answers[client], reason)
  local answer = answers[client]
  return answer.result, answer.error and answer.error.message
end

local function holds(text, part)
  assert(text and text:find(part, 1, true), vim.inspect(part) .. ' is not in ' .. vim.inspect(text))
end

local function hover()
  local answer = ask('textDocument/hover')
  return answer and answer.contents.value
end

local function session()
  open('man/iomap_immutable.7.md')
  wait('the server', function()
    local it = vim.lsp.get_client_by_id(client)
    return it and it.initialized and it.server_capabilities
  end)

  -- Hover: an id in a page, a constant in a rule and in a case, ids in a table of expectations and in a mail.
  at([[r\[\zstruncate\.shrink]])
  holds(hover(), 'Making a sealed file smaller must fail with the error ETXTBSY.')
  open('reference-impl/src/rules.rs')
  at('TRUNCATE_SHRINK')
  holds(hover(), '**truncate.shrink** (must; ETXTBSY), iomap_immutable(7)')
  open('conformance/src/cases/routes.rs')
  at('MOVER_DAX')
  holds(hover(), 'swapfile, xfs ext4: violated, because nothing looks whether the file is an active swap file')
  open('conformance/expectations/swapfile.toml')
  at('mover\\.dax')
  holds(hover(), '**mover.dax**')
  at('reason')
  assert(hover() == nil, 'a word that names no clause has no hover')
  open('draft.eml')
  at('truncate')
  holds(hover(), 'Making a sealed file smaller')

  -- A citation in a mail that is wrong.
  assert(#vim.diagnostic.get(0) == 0, 'the citation is right')
  vim.cmd([[%s/truncate\.shrink/truncate.shrunk/]])
  wait('the finding about the citation', function() return #vim.diagnostic.get(0) == 1 end)
  holds(vim.diagnostic.get(0)[1].message, 'no clause has the id `truncate.shrunk`')
  vim.cmd('undo')
  wait('the end of the finding', function() return #vim.diagnostic.get(0) == 0 end)

  -- Definition: from a case to the page, where the text has moved down and is not written yet.
  open('man/iomap_immutable.7.md')
  vim.fn.append(4, { '', '' })
  local line = vim.fn.search([[^r\[truncate\.shrink ]], 'cnw')
  open('conformance/src/cases/truncate.rs')
  at('TRUNCATE_SHRINK')
  local definition = ask('textDocument/definition')
  holds(definition.uri, '/man/iomap_immutable.7.md')
  assert(definition.range.start.line == line - 1 and definition.range.start.character == 2, vim.inspect(definition))
  vim.cmd('buffer man/iomap_immutable.7.md | undo')

  -- References: every kind of place.
  open('conformance/src/cases/truncate.rs')
  at('TRUNCATE_SHRINK')
  local places = ask('textDocument/references', { context = { includeDeclaration = true } })
  local files = {}
  for _, place in ipairs(places) do
    files[place.uri:match('.*/(.*)$')] = true
  end
  for _, file in ipairs({ 'iomap_immutable.7.md', 'rules.rs', 'truncate.rs', 'entry-points.toml', 'citing.md' }) do
    assert(files[file], file .. ' is not among ' .. vim.inspect(files))
  end
  assert(#ask('textDocument/references', { context = { includeDeclaration = false } }) == #places - 1)

  -- Diagnostics: those of `check`, after a page is written.
  open('man/iomap_immutable.7.md')
  vim.fn.append(vim.fn.line('$'), { '', '[no.such]' })
  vim.cmd('write')
  wait('the finding of check', function() return #vim.diagnostic.get(0) == 1 end)
  local finding = vim.diagnostic.get(0)[1]
  assert(finding.code == 'undefined-reference' and finding.lnum == vim.fn.line('$') - 1, vim.inspect(finding))
  vim.cmd('undo | write')
  wait('the end of the finding', function() return #vim.diagnostic.get(0) == 0 end)

  -- Rename: not to a name that is taken, was used or is no id; then everywhere.
  at([[r\[\zstruncate\.shrink]])
  holds(ask('textDocument/prepareRename').placeholder, 'truncate.shrink')
  for name, reason in pairs({
    ['truncate.grow'] = 'another clause has the id',
    ['truncate.same'] = 'an id is never used again',
    ['Truncate-Smaller'] = 'is no id',
  }) do
    local _, said = ask('textDocument/rename', { newName = name })
    holds(said, reason)
  end
  local edit = ask('textDocument/rename', { newName = 'truncate.smaller' })
  vim.lsp.util.apply_workspace_edit(edit, 'utf-16')
  vim.cmd('silent wall')
  wait('the new name', function() return (hover() or ''):find('**truncate.smaller**', 1, true) ~= nil end)
  wait('the end of all findings', function() return #vim.diagnostic.get() == 0 end)
  vim.lsp.stop_client(client)
  wait('the end of the server', function() return vim.lsp.client_is_stopped(client) end)
end

local is_fine, reason = xpcall(session, debug.traceback)
if not is_fine then
  io.stderr:write(reason .. '\n')
  vim.cmd('cquit 1')
end
vim.cmd('qall!')
