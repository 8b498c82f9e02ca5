// SPDX-License-Identifier: Apache-2.0
//
// A dictionary that never stops the loop for long: one of a million keys that grows moves all of them at once.

/// A dictionary in 256 parts, by the key: each grows on its own, so no single insertion moves more than its part.
struct Shards<Value> {
  private var parts = [[ByteString: Value]](repeating: [:], count: Self.number)
  private(set) var count = 0

  private static var number: Int { 256 }

  var isEmpty: Bool { count == 0 }

  subscript(key: ByteString) -> Value? { parts[key.shard][key] }

  mutating func set(_ key: ByteString, _ value: Value) {
    if parts[key.shard].updateValue(value, forKey: key) == nil { count += 1 }
  }

  mutating func remove(_ key: ByteString) -> Value? {
    guard let value = parts[key.shard].removeValue(forKey: key) else { return nil }
    count -= 1
    return value
  }

  mutating func removeAll() {
    self = Shards()
  }

  /// How many keys are in the part that has most.
  var largestPart: Int { parts.map(\.count).max() ?? 0 }

  /// All keys, in no order.
  var keys: [ByteString] { parts.flatMap(\.keys) }

  /// All values, in no order.
  var values: [Value] { parts.flatMap(\.values) }
}

extension ByteString {
  /// Which of 256 parts the key belongs to. Keys of a client that means harm may all be of one part, which is no worse
  /// than to have one part only: within it, they are hashed with a seed.
  fileprivate var shard: Int {
    switch self {
    case .short(let first, let second, let third, let fourth, let count):
      let rest = UInt64(third) | UInt64(fourth) << 32 | UInt64(count) << 48
      let mixed = (first ^ (second &* 0x9e37_79b9_7f4a_7c15) ^ (rest &* 0xc2b2_ae3d_27d4_eb4f)) &* 0xd6e8_feb8_6659_fd93
      // The upper half of it depends on all of the bits; the lower one does not.
      return Int(((mixed ^ mixed >> 29) &* 0xff51_afd7_ed55_8ccd) >> 56)
    case .long(let bytes):
      return bytes.hashValue & 0xff
    }
  }
}
