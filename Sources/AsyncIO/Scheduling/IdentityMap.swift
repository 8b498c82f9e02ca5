// SPDX-License-Identifier: Apache-2.0
//
// Values by identity that can be walked in an order that is the same in each run: a dictionary is walked in that of its
// hashes, which come of addresses.

/// A dictionary by identity whose values are walked in the order in which their keys came.
///
/// Invariant: each entry has a number of its own, and numbers grow.
package struct IdentityMap<Value> {
  private var entries: [ObjectIdentifier: (number: UInt64, value: Value)] = [:]
  private var lastNumber: UInt64 = 0

  package init() {}

  package var count: Int { entries.count }
  package var isEmpty: Bool { entries.isEmpty }

  /// Finds, enters, replaces or removes a value. One that replaces another has its place.
  ///
  /// - Complexity: O(1), on average.
  package subscript(_ key: ObjectIdentifier) -> Value? {
    get { entries[key]?.value }
    set {
      guard let newValue else {
        entries.removeValue(forKey: key)
        return
      }
      if let number = entries[key]?.number {
        entries[key] = (number, newValue)
      } else {
        lastNumber += 1
        entries[key] = (lastNumber, newValue)
      }
    }
  }

  /// Removes a value.
  package mutating func removeValue(forKey key: ObjectIdentifier) -> Value? { entries.removeValue(forKey: key)?.value }

  /// How many values meet a condition.
  package func count(where condition: (Value) -> Bool) -> Int { entries.values.count { condition($0.value) } }

  /// The values, in the order in which their keys came.
  ///
  /// - Complexity: O(n log n).
  package var values: [Value] { entries.values.sorted { $0.number < $1.number }.map(\.value) }
}
