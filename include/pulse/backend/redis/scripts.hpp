// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstddef>
#include <string_view>

/// What must happen on the server as one step: each script looks at the pending list and acts on what it saw, with nobody between.
/// Redis counts no owner into XACK and XCLAIM, and a MULTI goes on after an error; a script stops at it.
namespace pulse::inline v0_1::detail {

/// The place of each in `redis_scripts`.
enum class RedisScript : std::size_t { dead_letter, fenced_ack, extend, retake, recover, claim, trim, redrive, letters, newest, remove_consumer };

inline constexpr std::array<std::string_view, 11> redis_scripts{
    // dead_letter: KEYS stream, dlq; ARGV group, consumer, id, then the copy's fields. 1: copied and acked; 0: it was not this consumer's
    // any more. Where the copy fails (memory, wrong type) the script ends before the ack. Where the group is gone there is nothing to ack:
    // copied if the stream has lost the entry, else left to the group that is made anew.
    R"(local p = redis.pcall('XPENDING', KEYS[1], ARGV[1], ARGV[3], ARGV[3], 1)
if p.err then
  if not string.find(p.err, 'NOGROUP') then return p end
  if redis.call('XRANGE', KEYS[1], ARGV[3], ARGV[3])[1] then return 0 end
elseif not p[1] or p[1][2] ~= ARGV[2] then return 0 end
redis.call('XADD', KEYS[2], '*', unpack(ARGV, 4))
if not p.err then redis.call('XACK', KEYS[1], ARGV[1], ARGV[3]) end
return 1)",
    // fenced_ack: KEYS stream; ARGV group, consumer, ids. How many were this consumer's and are acked.
    R"(local n = 0
for i = 3, #ARGV do
  local p = redis.call('XPENDING', KEYS[1], ARGV[1], ARGV[i], ARGV[i], 1)
  if p[1] and p[1][2] == ARGV[2] then n = n + redis.call('XACK', KEYS[1], ARGV[1], ARGV[i]) end
end
return n)",
    // extend: KEYS stream; ARGV group, consumer, an id or '', ids. Resets the idle time of those ids that are this consumer's, and of what it
    // has pending after the third argument; never takes one from another, unlike a bare XCLAIM. The ids that are another's. What is gone from
    // the stream stays as it is: XCLAIM would drop it, and whoever holds its data could not make a dead letter of it any more.
    R"(local lost, mine = {}, {}
local function keep(id)
  if redis.call('XRANGE', KEYS[1], id, id)[1] then mine[#mine + 1] = id end
end
for i = 4, #ARGV do
  local p = redis.call('XPENDING', KEYS[1], ARGV[1], ARGV[i], ARGV[i], 1)
  if p[1] then
    if p[1][2] == ARGV[2] then keep(ARGV[i]) else lost[#lost + 1] = ARGV[i] end
  end
end
if ARGV[3] ~= '' then
  for _, p in ipairs(redis.call('XPENDING', KEYS[1], ARGV[1], '(' .. ARGV[3], '+', 65536, ARGV[2])) do keep(p[1]) end
end
for from = 1, #mine, 1000 do
  local call = {'XCLAIM', KEYS[1], ARGV[1], ARGV[2], 0}
  for i = from, math.min(from + 999, #mine) do call[#call + 1] = mine[i] end
  call[#call + 1] = 'JUSTID'
  redis.call(unpack(call))
end
return lost)",
    // retake: KEYS stream; ARGV group, consumer, ids. Delivers them again to their owner: idle anew, and counted unless a '=' stands before the id.
    // Rows of id, count and fields; a count of 0 where the entry is gone: then it is acked. What is another's, or nobody's, is left out.
    R"(local rows = {}
for i = 3, #ARGV do
  local id, more = ARGV[i], 1
  if string.sub(id, 1, 1) == '=' then id, more = string.sub(id, 2), 0 end
  local p = redis.call('XPENDING', KEYS[1], ARGV[1], id, id, 1)
  if p[1] and p[1][2] == ARGV[2] then
    local e = redis.call('XRANGE', KEYS[1], id, id)
    if e[1] then
      redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[2], 0, id, 'JUSTID', 'RETRYCOUNT', p[1][4] + more)
      rows[#rows + 1] = {id, p[1][4] + more, e[1][2]}
    else
      redis.call('XACK', KEYS[1], ARGV[1], id)
      rows[#rows + 1] = {id, 0}
    end
  end
end
return rows)",
    // recover: KEYS stream, dlq; ARGV group, consumer, start, end, largest reply or 0, time, count, 0 or 1. What the consumer had pending before, a
    // page of it: idle anew, and counted again only where the last is 1, unlike a read of the history. Rows as above. An entry whose row alone would be
    // larger than the largest reply is dead-lettered, and its row has the count -1: who cannot read it would ask for it again and again.
    R"(local largest, more, rows = tonumber(ARGV[5]), tonumber(ARGV[8]), {}
local function bytes(text) return #text + #tostring(#text) + 5 end
local function quoted(text)
  return '"' .. string.gsub(text, '[%c"\\]', function(c)
    return (c == '"' or c == '\\') and '\\' .. c or string.format('\\u%04x', string.byte(c))
  end) .. '"'
end
for _, p in ipairs(redis.call('XPENDING', KEYS[1], ARGV[1], ARGV[3], ARGV[4], ARGV[7], ARGV[2])) do
  local id, e = p[1], redis.call('XRANGE', KEYS[1], p[1], p[1])
  if e[1] then
    local fields, data, all = e[1][2], nil, {}
    local size = 14 + bytes(id) + #tostring(p[4] + more) + #tostring(#fields)
    for i = 1, #fields do size = size + bytes(fields[i]) end
    if largest > 0 and size > largest then
      for i = 1, #fields, 2 do
        if not data and fields[i] == 'data' then data = fields[i + 1] end
        all[#all + 1] = quoted(fields[i]) .. ':' .. quoted(fields[i + 1])
      end
      redis.call('XADD', KEYS[2], '*', 'original_id', id, 'reason', 'too large: a reply of ' .. size .. ' bytes, the client reads at most ' .. largest,
        'data', data or '{' .. table.concat(all, ',') .. '}', 'group', ARGV[1], 'consumer', ARGV[2], 'deliveries', p[4], 'failed_at', ARGV[6])
      redis.call('XACK', KEYS[1], ARGV[1], id)
      rows[#rows + 1] = {id, -1}
    else
      redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[2], 0, id, 'JUSTID', 'RETRYCOUNT', p[4] + more)
      rows[#rows + 1] = {id, p[4] + more, fields}
    end
  else
    redis.call('XACK', KEYS[1], ARGV[1], id)
    rows[#rows + 1] = {id, 0}
  end
end
return rows)",
    // claim: KEYS stream; ARGV group, consumer, idle time, cursor, count. XAUTOCLAIM, with the delivery counts that it does not tell. The next
    // cursor, rows as above, and how many were gone (6.2 does not tell: there they are rows).
    R"(local r = redis.call('XAUTOCLAIM', KEYS[1], ARGV[1], ARGV[2], ARGV[3], ARGV[4], 'COUNT', ARGV[5], 'JUSTID')
local rows = {}
for _, id in ipairs(r[2]) do
  local p = redis.call('XPENDING', KEYS[1], ARGV[1], id, id, 1)
  local e = redis.call('XRANGE', KEYS[1], id, id)
  if e[1] then
    redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[2], 0, id, 'JUSTID', 'RETRYCOUNT', p[1][4] + 1)
    rows[#rows + 1] = {id, p[1][4] + 1, e[1][2]}
  else
    redis.call('XACK', KEYS[1], ARGV[1], id)
    rows[#rows + 1] = {id, 0}
  end
end
return {r[1], rows, r[3] and #r[3] or 0})",
    // trim: KEYS stream. Frees whole nodes of entries that every group has read and acked, a million entries at most: without a LIMIT of its own
    // XTRIM ~ stops after a hundred nodes, and a stream would grow that gets more than these between two rounds. Up to a tenth of a second for so many.
    R"(local least
for _, g in ipairs(redis.call('XINFO', 'GROUPS', KEYS[1])) do
  local name, last
  for i = 1, #g, 2 do
    if g[i] == 'name' then name = g[i + 1] elseif g[i] == 'last-delivered-id' then last = g[i + 1] end
  end
  local p = redis.call('XPENDING', KEYS[1], name)
  local floor = last
  if p[1] > 0 then floor = p[2] end
  local ms, seq = string.match(floor, '^(%d+)-(%d+)$')
  local better = not least
  if least then
    local a, b = ms, least[1]
    if #a ~= #b then better = #a < #b elseif a ~= b then better = a < b
    elseif #seq ~= #least[2] then better = #seq < #least[2] else better = seq < least[2] end
  end
  if better then least = {ms, seq} end
end
if not least then return 0 end
return redis.call('XTRIM', KEYS[1], 'MINID', '~', least[1] .. '-' .. least[2], 'LIMIT', 1000000))",
    // redrive: KEYS dlq, stream; ARGV first, last, count. Appends the entries of dead letters to their stream again, marked, and removes the
    // letters; of a letter without `data`, which Pulse did not write, all its fields as JSON. The new ids.
    R"(local ids = {}
local function quoted(text)
  return '"' .. string.gsub(text, '[%c"\\]', function(c)
    return (c == '"' or c == '\\') and '\\' .. c or string.format('\\u%04x', string.byte(c))
  end) .. '"'
end
for _, letter in ipairs(redis.call('XRANGE', KEYS[1], ARGV[1], ARGV[2], 'COUNT', ARGV[3])) do
  local fields, data, from = letter[2], nil, letter[1]
  for i = 1, #fields, 2 do
    if fields[i] == 'data' then data = fields[i + 1] elseif fields[i] == 'original_id' then from = fields[i + 1] end
  end
  if not data then
    local all = {}
    for i = 1, #fields, 2 do all[#all + 1] = quoted(fields[i]) .. ':' .. quoted(fields[i + 1]) end
    data = '{' .. table.concat(all, ',') .. '}'
  end
  ids[#ids + 1] = redis.call('XADD', KEYS[2], '*', 'data', data, 'redriven', from)
  redis.call('XDEL', KEYS[1], letter[1])
end
return ids)",
    // letters: KEYS dlq; ARGV the first id, count, largest reply or 0. Dead letters, as many as one reply holds, one at least: rows of id, fields and the
    // bytes that were left out. Of one that no reply holds, the fields that say what it is; all of `data` is left out, and of the others what is long.
    R"(local largest, from, rows = tonumber(ARGV[3]), ARGV[1], {}
local room = largest - 32
local function bytes(text) return #text + #tostring(#text) + 5 end
for n = 1, tonumber(ARGV[2]) do
  local e = redis.call('XRANGE', KEYS[1], from, '+', 'COUNT', 1)[1]
  if not e then break end
  local fields, size, out = e[2], 64 + bytes(e[1]), 0
  for i = 1, #fields do size = size + bytes(fields[i]) end
  if size > room then
    if n > 1 then break end
    local known = {original_id = 64, reason = 500, group = 256, consumer = 256, deliveries = 20, failed_at = 64}
    local short = {}
    for i = 1, #fields, 2 do
      local name, value = fields[i], string.sub(fields[i + 1], 1, known[fields[i]] or 0)
      out = out + #fields[i + 1] - #value
      if known[name] then
        short[#short + 1] = name
        short[#short + 1] = value
        known[name] = nil
      end
    end
    fields = short
  end
  rows[n] = {e[1], fields, out}
  room = room - size
  if room <= 0 then break end
  from = '(' .. e[1]
end
return rows)",
    // newest: KEYS stream. The id of its last entry, without its data; 0-0 where it has none.
    "local e = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)[1]\n"
    "return e and e[1] or '0-0'",
    // remove_consumer: KEYS stream; ARGV group, consumer. How many entries it has pending: 0, and it is removed; -1: there is none.
    R"(for _, c in ipairs(redis.call('XINFO', 'CONSUMERS', KEYS[1], ARGV[1])) do
  local name, pending
  for i = 1, #c, 2 do
    if c[i] == 'name' then name = c[i + 1] elseif c[i] == 'pending' then pending = c[i + 1] end
  end
  if name == ARGV[2] then
    if pending == 0 then redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], ARGV[2]) end
    return pending
  end
end
return -1)"};

}  // namespace pulse::inline v0_1::detail
