-- One exchange between a replica and the store: it says what it holds and has used in each bucket, and asks for more.
--
-- KEYS    one bucket each, a hash: field "s" is the bucket's state, every other field is a replica's record.
-- ARGV[1] the replica's name, which is its record's field
-- ARGV[2] all numbers, as a MessagePack array; see encode in script.go for their order
--
-- state   {head, total, due, slot, amount, slot, amount, ...} in the slots' order; due is when a record may have run out
-- record  {sequence, expires, lease, lease's slot, lease expires, slot, held, slot, held, ...}
--
-- A replica's record is replaced as a whole by what the replica says, so that a lost message or a lost record heals with the
-- next one; only what was used is added, once per sequence number. All numbers are integers below 2^53: exact in Lua, and
-- never written as text by Lua. Time is the store's own.
local MAX = 9007199254740991 -- 2^53 - 1
local LATE = 3600000         -- how long an empty record is kept, so that nothing used is added twice

local clock = redis.call('TIME')
local now = tonumber(clock[1]) * 1000 + math.floor(tonumber(clock[2]) / 1000)
local replica, input, at = ARGV[1], cmsgpack.unpack(ARGV[2]), 0

local function int()
  at = at + 1
  return input[at]
end

local ttl, share = int(), int()

-- weighs says whether a slot is in the window.
local function weighs(b, slot)
  return slot == b.head or b.width > 0 and slot < b.head and b.head - slot < b.count
end

-- find is where the state has a slot's amount; or nil and where the slot is to be inserted.
local function find(s, slot)
  local i = #s - 1
  while i > 3 and s[i] > slot do i = i - 2 end
  if i > 3 and s[i] == slot then return i + 1 end
  return nil, i + 2
end

local function add(b, slot, amount)
  if not weighs(b, slot) then return false end
  if amount == 0 then return true end
  local s = b.s
  local i, new = find(s, slot)
  if not i then
    table.insert(s, new, slot)
    table.insert(s, new + 1, 0)
    i = new + 1
  end
  amount = math.min(amount, MAX - s[2])
  s[i], s[2] = s[i] + amount, s[2] + amount
  return true
end

local function sub(b, slot, amount)
  local s = b.s
  local i = find(s, slot)
  if not i or not weighs(b, slot) then return end
  amount = math.min(amount, s[i])
  s[i], s[2] = s[i] - amount, s[2] - amount
end

-- period finds the running slot. Of a calendar it reads where four periods start: the store's now is in one of the first
-- three.
local function period(b)
  if b.width > 0 then
    b.head = math.floor(now / b.width)
    return
  end
  local starts = {int(), int(), int(), int()}
  for i = 1, 3 do
    if now < starts[i + 1] then
      b.head, b.stop = starts[i], starts[i + 1]
      return
    end
  end
end

-- advance drops what has left the window. A clock that went back (another primary) is ignored until it has caught up.
local function advance(b)
  local s, head = b.s, b.s[1]
  if head >= b.head then
    b.head = head
    return
  end
  s[1] = b.head
  local first = 4
  while s[first] and not weighs(b, s[first]) do
    s[2] = s[2] - s[first + 1]
    first = first + 2
  end
  if first > 4 then
    b.s = {s[1], s[2], s[3]}
    for i = first, #s do b.s[#b.s + 1] = s[i] end
  end
end

local function soon(b, t)
  if b.s[3] == 0 or t < b.s[3] then b.s[3] = t end
end

local function drop(b, r)
  sub(b, r[4], r[3])
  for i = 6, #r, 2 do sub(b, r[i], r[i + 1]) end
end

-- lapse gives back what a record holds beyond its time. It returns the record that is left, or nil, and whether it changed.
local function lapse(b, r)
  if r[2] + LATE <= now then return nil, true end
  if r[2] <= now then
    local full = #r > 5 or r[3] > 0
    drop(b, r)
    return {r[1], r[2], 0, 0, 0}, full
  end
  if r[3] > 0 and r[5] <= now then
    sub(b, r[4], r[3])
    r[3] = 0
    return r, true
  end
  return r, false
end

local function sweep(b, key, write)
  local all = redis.call('HGETALL', key)
  b.s[3] = 0
  for i = 1, #all, 2 do
    local field = all[i]
    if field ~= 's' then
      local r, changed = lapse(b, cmsgpack.unpack(all[i + 1]))
      if field == replica then b.record = r end
      if changed and write then
        if r then redis.call('HSET', key, field, cmsgpack.pack(r)) else redis.call('HDEL', key, field) end
      end
      if r then soon(b, r[2] <= now and r[2] + LATE or r[3] > 0 and r[5] or r[2]) end
    end
  end
end

-- tell replaces the replica's record by what it says: what it holds per slot, and what it has used.
local function tell(b)
  local old, slot, r = b.record, b.head, {b.sequence, now + ttl, 0, b.head, 0}
  local lease, held, used, count = int(), int(), int(), int()
  local fresh = not old or old[1] ~= b.sequence
  if old then
    lease = math.min(lease, old[3])
    drop(b, old)
  else
    lease = 0
  end
  for _ = 1, count do
    local n, h, u = int(), int(), int()
    if add(b, n, h + (fresh and u or 0)) and h > 0 then
      r[#r + 1] = n
      r[#r + 1] = h
    end
  end
  add(b, slot, held + lease + (fresh and used or 0))
  b.record, b.held, b.lease = r, held, lease
end

local function open(key)
  local b = {limit = int(), width = int(), count = int()}
  period(b)
  b.sequence, b.term, b.want, b.least = int(), int(), int(), int()
  local raw = redis.call('HMGET', key, 's', replica)
  b.s = raw[1] and cmsgpack.unpack(raw[1])
  b.record = raw[2] and cmsgpack.unpack(raw[2]) or nil
  if not b.s then b.s = {b.head, 0, 0} end
  advance(b)
  if b.s[3] ~= 0 and b.s[3] <= now then sweep(b, key, b.sequence > 0) end
  if b.sequence > 0 then tell(b) end
  return b
end

-- leaves is when a slot leaves the window.
local function leaves(b, slot)
  if b.width == 0 then return b.stop end
  return (slot + b.count) * b.width
end

-- wait is how long it takes until need has left the window; -1 if that never suffices.
local function wait(b, amount)
  if amount > b.limit then return -1 end
  local need, s = amount - (b.limit - b.s[2]), b.s
  for i = 4, #s, 2 do
    need = need - s[i + 1]
    if need <= 0 then return leaves(b, s[i]) - now end
  end
  return leaves(b, b.head) - now
end

local function reset(b)
  local s = b.s
  for i = #s, 5, -2 do
    if s[i] > 0 then return leaves(b, s[i - 1]) - now end
  end
  return 0
end

-- longest finds the bucket without room that needs the longest wait, beginning with the one that lacked it first.
local function longest(buckets, from, count, first)
  local worst, most = first, nil
  for i = 0, count do
    local n = i == 0 and first or from + 2 * i - 1
    local b, amount = buckets[input[n]], input[n + 1]
    if i == 0 or amount > b.limit - b.s[2] then
      local w = wait(b, amount)
      if not most or most >= 0 and (w < 0 or w > most) then worst, most = n, w end
    end
  end
  return input[worst], math.max(0, buckets[input[worst]].limit - buckets[input[worst]].s[2]), most
end

-- take charges all buckets of one request, or none.
local function take(buckets)
  local count, from = int(), at
  for i = 1, count do
    local b, amount = buckets[int()], int()
    if amount > b.limit - b.s[2] then
      local first = at - 1
      for j = 1, i - 1 do
        local o, back = buckets[input[from + 2 * j - 1]], input[from + 2 * j]
        sub(o, o.head, back)
        o.held = o.held - back
      end
      at = from + 2 * count
      return longest(buckets, from, count, first)
    end
    add(b, b.head, amount)
    b.held = b.held + amount
  end
  return 0, 0, 0
end

-- lend leases to the replica what it wants, up to a part of what is left, what it has leased included.
local function lend(b)
  local more = math.min(b.want, math.floor((b.limit - b.s[2] + b.lease) / share)) - b.lease
  if more > 0 and more >= b.least then
    add(b, b.head, more)
    b.lease = b.lease + more
  end
end

local function save(b, key)
  local r, life = b.record, b.width > 0 and (b.count + 1) * b.width or b.stop - now
  if b.held > 0 then
    r[#r + 1] = b.head
    r[#r + 1] = b.held
  end
  if b.lease > 0 then
    r[3], r[5] = b.lease, now + b.term
    soon(b, r[5])
  end
  soon(b, r[2])
  redis.call('HSET', key, 's', cmsgpack.pack(b.s), replica, cmsgpack.pack(r))
  redis.call('PEXPIRE', key, string.format('%.0f', life + ttl))
end

local buckets, out = {}, {now}
-- All calendars that were sent hold from one moment to another. If now is not between them, the replica's clock is far off:
-- it is told the time, and nothing is written.
local from, to = int(), int()
if now < from or now >= to then return cmsgpack.pack(out) end
for i, key in ipairs(KEYS) do buckets[i] = open(key) end
for _ = 1, int() do
  local bucket, left, after = take(buckets)
  out[#out + 1] = bucket
  out[#out + 1] = left
  out[#out + 1] = after
end
for i, key in ipairs(KEYS) do
  local b = buckets[i]
  if b.sequence > 0 then
    lend(b)
    save(b, key)
  end
  out[#out + 1] = b.head
  out[#out + 1] = b.s[2]
  out[#out + 1] = reset(b)
  out[#out + 1] = b.sequence > 0 and b.lease or 0
end
return cmsgpack.pack(out)
