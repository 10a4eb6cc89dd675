#!lua name=daogou1

-- save(keys; ttl_ms, then expected version and value for each key): compare-and-set of profiles.
-- A value begins with its version, 8 bytes big-endian; an absent key has version 0. Returns 1 or 0 for each key.
local function save(keys, args)
  local absent = string.rep('\0', 8)
  local saved = {}
  for i, key in ipairs(keys) do
    local version = redis.call('GETRANGE', key, 0, 7)
    if version == '' then version = absent end
    if version == args[2 * i] then
      redis.call('SET', key, args[2 * i + 1], 'PX', args[1])
      saved[i] = 1
    else
      saved[i] = 0
    end
  end
  return saved
end

redis.register_function('daogou1_save', save)
