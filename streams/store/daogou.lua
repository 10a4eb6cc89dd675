#!lua name=daogou_1
-- What daogou does inside Redis or Valkey (7.2 and later), as a function library: rights to FCALL are enough.
-- Change it together with its number, here and in library.py: workers of two versions may share a server.

-- KEYS: profiles of one partition. ARGV: TTL in ms, then for each key the version expected (8 bytes; empty: no
-- profile) and the new value, which begins with its version. Returns 1 or 0 for each key.
local function save(keys, args)
  local saved = {}
  for i, key in ipairs(keys) do
    if redis.call('GETRANGE', key, 0, 7) == args[2 * i] then
      redis.call('SET', key, args[2 * i + 1], 'PX', args[1])
      saved[i] = 1
    else
      saved[i] = 0
    end
  end
  return saved
end

-- KEYS: one sorted set. ARGV: most members kept, TTL in ms, then members and what to add to each.
local function learn(keys, args)
  for i = 3, #args, 2 do
    redis.call('ZINCRBY', keys[1], args[i + 1], args[i])
  end
  redis.call('ZREMRANGEBYRANK', keys[1], 0, -tonumber(args[1]) - 1)
  redis.call('PEXPIRE', keys[1], args[2])
  return #args
end

-- KEYS: sequence, changed items, latest time. ARGV: most items kept, latest event's time in ms, then items.
-- Each item gets a number of its own, beyond all given before and not behind the clock in microseconds, so that a
-- reader's cursor stays true when the server was emptied or restored.
local function mark(keys, args)
  local now = redis.call('TIME')
  local last = tonumber(redis.call('GET', keys[1]) or '0')
  local sequence = math.max(last, tonumber(now[1]) * 1000000 + tonumber(now[2]))
  for i = 3, #args do
    sequence = sequence + 1
    redis.call('ZADD', keys[2], string.format('%.0f', sequence), args[i])
  end
  redis.call('SET', keys[1], string.format('%.0f', sequence))
  redis.call('ZREMRANGEBYRANK', keys[2], 0, -tonumber(args[1]) - 1)
  if tonumber(redis.call('GET', keys[3]) or '0') < tonumber(args[2]) then
    redis.call('SET', keys[3], args[2])
  end
  return #args - 2
end

-- KEYS: one sorted set. ARGV: how many. Returns members and weights, the heaviest first, as one msgpack value.
local function strongest(keys, args)
  return cmsgpack.pack(redis.call('ZRANGE', keys[1], 0, tonumber(args[1]) - 1, 'REV', 'WITHSCORES'))
end

redis.register_function('daogou_1_save', save)
redis.register_function('daogou_1_learn', learn)
redis.register_function('daogou_1_mark', mark)
redis.register_function{function_name = 'daogou_1_strongest', callback = strongest, flags = {'no-writes'}}
