"""What every Lua script finds, written in Lua itself.

The chunk returns a function that is given the functions of the server, and defines the global ones around them: to
scripts they are functions like any other, and get nothing of Python to hold.
"""

SOURCE = rb"""
-- Scripts may redefine any global function: what is used here is kept.
local debug_sethook, load, math_tointeger, pairs = debug.sethook, load, math.tointeger, pairs
local rawget, select, xpcall = rawget, select, xpcall
local string_find, string_gsub, string_sub = string.find, string.gsub, string.sub
local table_concat, table_insert, table_unpack = table.concat, table.insert, table.unpack
local error, io_stdout, tonumber, tostring, type, globals = error, io.stdout, tonumber, tostring, type, _G

return function(host)
  local function text(value)
    local kind = type(value)
    if kind == 'string' then return value end
    if kind == 'number' then return tostring(value) end
  end

  local function pairs_of_texts(values)
    if values == nil then return {} end
    if type(values) ~= 'table' then return nil end
    local found = {}
    for name, value in pairs(values) do
      if text(name) == nil or text(value) == nil then return nil end
      found[text(name)] = text(value)
    end
    return found
  end

  local function complain(name)
    host.complain('Bad parameters to ' .. name .. '()')
    return nil
  end

  function print(...)
    local line = ''
    for i = 1, select('#', ...) do
      if line ~= '' then line = line .. ', ' end
      line = line .. tostring((select(i, ...)))
    end
    host.print(line)
  end

  -- Requests to this server -----------------------------------------------------------------------------------------

  local function rest(name, method, has_body)
    return function(uri, body, builtin, headers)
      if not has_body then body, builtin, headers = '', body, builtin end
      uri, body, headers = text(uri), text(body), pairs_of_texts(headers)
      if uri == nil or body == nil or headers == nil or (builtin ~= nil and type(builtin) ~= 'boolean') then
        return complain(name)
      end
      return host.rest(method, uri, body, builtin or false, headers)
    end
  end

  RestApiGet = rest('RestApiGet', 'GET', false)
  RestApiPost = rest('RestApiPost', 'POST', true)
  RestApiPut = rest('RestApiPut', 'PUT', true)
  RestApiDelete = rest('RestApiDelete', 'DELETE', false)

  -- Requests to others ----------------------------------------------------------------------------------------------

  local function web(name, method, has_body)
    return function(url, body, headers)
      if not has_body then body, headers = '', body end
      url, headers = text(url), pairs_of_texts(headers)
      if body == nil then body = '' end
      body = text(body)
      if url == nil or body == nil or headers == nil then return complain(name) end
      return host.web(method, url, body, headers)
    end
  end

  HttpGet = web('HttpGet', 'GET', false)
  HttpPost = web('HttpPost', 'POST', true)
  HttpPut = web('HttpPut', 'PUT', true)
  HttpDelete = web('HttpDelete', 'DELETE', false)

  function SetHttpCredentials(user, password)
    if text(user) == nil or text(password) == nil then return complain('SetHttpCredentials') end
    host.set_credentials(text(user), text(password))
  end

  function SetHttpTimeout(seconds)
    if math_tointeger(tonumber(seconds)) == nil then return complain('SetHttpTimeout') end
    host.set_timeout(math_tointeger(tonumber(seconds)))
  end

  -- JSON ------------------------------------------------------------------------------------------------------------

  function ParseJson(json)
    if text(json) == nil then return complain('ParseJson') end
    return host.parse_json(text(json))
  end

  function DumpJson(...)
    local count = select('#', ...)
    local value, keep_strings = ...
    if count == 0 or count > 2 or (count == 2 and keep_strings ~= nil and type(keep_strings) ~= 'boolean') then
      return complain('DumpJson')
    end
    local json, problem = host.dump_json(value, keep_strings or false)
    if problem then error(problem, 2) end
    return json
  end

  function GetOrthancConfiguration()
    return host.configuration()
  end

  local function show(label, value, limit)
    if limit < 1 then
      print('ERROR: Item limit reached.')
      return limit - 1
    end
    local head = label == '' and '' or label .. ', '
    if type(value) ~= 'table' then
      print(head .. type(value), value)
      return limit - 1
    end
    print(head .. 'table')
    for key, item in pairs(value) do
      limit = show(label .. '\t[' .. tostring(key) .. ']', item, limit)
      if limit < 0 then break end
    end
    return limit - 1
  end

  function PrintRecursive(value, limit)
    show('', value, limit or 100)
  end

  -- What is kept by the server --------------------------------------------------------------------------------------

  function SetStableStatus(id, is_stable)
    if text(id) == nil or type(is_stable) ~= 'boolean' then return complain('SetStableStatus') end
    return host.set_stable(text(id), is_stable)
  end

  function StoreKeyValue(store, key, value)
    if text(store) == nil or text(key) == nil or text(value) == nil then return complain('StoreKeyValue') end
    return host.store_key_value(text(store), text(key), text(value))
  end

  function GetKeyValue(store, key)
    if text(store) == nil or text(key) == nil then return complain('GetKeyValue') end
    return host.get_key_value(text(store), text(key))
  end

  function DeleteKeyValue(store, key)
    if text(store) == nil or text(key) == nil then return complain('DeleteKeyValue') end
    return host.delete_key_value(text(store), text(key))
  end

  -- What a callback orders to be done after it ----------------------------------------------------------------------

  local orders = nil

  function _InitializeJob()
    orders = {}
  end

  function _AccessJob()
    local given = orders
    orders = nil
    return given
  end

  local function order(value)
    if orders == nil then error('Only a callback of the server may order this', 3) end
    table_insert(orders, value)
  end

  function SendToModality(id, modality, local_aet)
    if id == nil then error('Cannot send a nonexistent resource', 2) end
    order({ Operation = 'store-scu', Resource = id, Modality = modality, LocalAet = local_aet })
    return id
  end

  function SendToPeer(id, peer)
    if id == nil then error('Cannot send a nonexistent resource', 2) end
    order({ Operation = 'store-peer', Resource = id, Peer = peer })
    return id
  end

  function Delete(id)
    if id == nil then error('Cannot delete a nonexistent resource', 2) end
    order({ Operation = 'delete', Resource = id })
    return nil
  end

  function ModifyResource(id, replacements, removals, remove_private_tags)
    if id == nil then error('Cannot modify a nonexistent resource', 2) end
    order({
      Operation = 'modify', Resource = id, Replace = replacements, Remove = removals,
      RemovePrivateTags = remove_private_tags,
    })
    return ''
  end

  ModifyInstance = ModifyResource

  function CallSystem(id, command, arguments)
    if id == nil then error('Cannot execute a system call on a nonexistent resource', 2) end
    if command == nil then error('No command was specified for system call', 2) end
    order({ Operation = 'call-system', Resource = id, Command = command, Arguments = arguments })
    return id
  end

  -- A program must not keep the server from using the interpreter while it runs.
  os.execute = function(command)
    if command == nil then return true end
    if text(command) == nil then error("bad argument #1 to 'execute' (string expected)", 2) end
    return host.execute(text(command))
  end

  -- The output of a program that has ended, as a file.
  local function opened(output, ending, status)
    local position = 1
    local file = {}
    local function take(pattern)
      local from, to, found = string_find(output, pattern, position)
      if from == nil then return nil end
      position = to + 1
      return found
    end
    local function read_one(format)
      if type(format) == 'number' then
        if position > #output and format > 0 then return nil end
        local found = string_sub(output, position, position + format - 1)
        position = position + #found
        return found
      end
      format = string_gsub(format, '^%*', '')
      if format == 'a' then
        local found = string_sub(output, position)
        position = #output + 1
        return found
      elseif format == 'n' then
        return tonumber(take('^%s*([^%s]+)'))
      elseif position > #output then
        return nil
      elseif format == 'L' then
        return take('^([^\n]*\n)') or take('^(.+)')
      end
      return take('^([^\n]*)\n') or take('^(.+)')
    end
    function file:read(...)
      if select('#', ...) == 0 then return read_one('l') end
      local found = {}
      for i = 1, select('#', ...) do found[i] = read_one((select(i, ...))) end
      return table_unpack(found, 1, select('#', ...))
    end
    function file:lines(format) return function() return read_one(format or 'l') end end
    function file:close() return status == 0 or nil, ending, status end
    return file
  end

  function io.popen(command, mode)
    if text(command) == nil then error("bad argument #1 to 'popen' (string expected)", 2) end
    if mode == nil or mode == 'r' then return opened(host.run(text(command), '')) end
    if mode ~= 'w' then error("bad argument #2 to 'popen' (invalid mode)", 2) end
    local file, input = {}, {}
    function file:write(...)
      for i = 1, select('#', ...) do table_insert(input, text((select(i, ...))) or '') end
      return self
    end
    function file:close()
      local output, ending, status = host.run(text(command), table_concat(input))
      io_stdout:write(output)
      return status == 0 or nil, ending, status
    end
    return file
  end

  bit32 = bit32 or {
    band = function(a, b) return (a & b) & 0xffffffff end,
    bor = function(a, b) return (a | b) & 0xffffffff end,
    bxor = function(a, b) return (a ~ b) & 0xffffffff end,
    bnot = function(a) return ~a & 0xffffffff end,
    lshift = function(a, n) return (a << n) & 0xffffffff end,
    rshift = function(a, n) return (a & 0xffffffff) >> n end,
  }
  math.pow = math.pow or function(x, y) return x ^ y end
  python = nil

  local watch
  function watch()
    if host.is_stopping() then
      debug_sethook(watch, '', 1)  -- Whoever catches this error gets no further.
      error('The server stops', 0)
    end
  end

  -- The entrances of the server: a result after `true`, or `false` and what went wrong.
  local function problem_of(value)
    if type(value) == 'string' or type(value) == 'number' then return tostring(value) end
    return 'An error that is a ' .. type(value)
  end

  local depth = 0

  local function problem(value)
    debug_sethook()
    return problem_of(value)
  end

  local function protected(callee, ...)
    depth = depth + 1
    debug_sethook(watch, '', 1000000)
    local ok, result = xpcall(callee, problem, ...)
    depth = depth - 1
    if depth == 0 then debug_sethook() else debug_sethook(watch, '', 1000000) end
    return ok, result
  end

  return {
    run = function(source, name)
      local chunk, problem = load(source, name, 't')
      if chunk == nil then return false, problem end
      return protected(chunk)
    end,
    call = function(name, ...)
      local callee = globals[name]
      if type(callee) ~= 'function' then return true, nil end
      return protected(callee, ...)
    end,
    is_function = function(name) return type(rawget(globals, name)) == 'function' end,
  }
end
"""
