// SPDX-License-Identifier: Apache-2.0
//
// The keys, their values, and the time they have to live. Plain state of one loop: there is no lock.

import AsyncIO

/// The keys and their values. A key with a time to live has a timer of the loop, that removes it.
///
/// Invariant: each key of `timers` is one of `values`, and its timer is pending. No list is empty.
///
/// That a key goes by a timer, and not when somebody asks for it, is what makes it cheap to ask: nobody reads a clock.
/// A timer is never early, and late by no more than the loop is.
final class Keyspace {
  private var values = Shards<Value>()
  private var timers = Shards<TimerHandle>()
  /// How many keys their time has removed.
  private(set) var expired = 0

  var count: Int { values.count }
  var countWithTimeToLive: Int { timers.count }
  /// All keys, in no order.
  var keys: [ByteString] { values.keys }

  // MARK: Reading

  subscript(key: ByteString) -> Value? { values[key] }

  func contains(_ key: ByteString) -> Bool { values[key] != nil }

  /// The string under a key; `nil` when there is nothing.
  func string(_ key: ByteString) throws(CommandError) -> ByteString? {
    switch values[key] {
    case nil: nil
    case .string(let string): string
    case .list: throw .wrongType
    }
  }

  /// The list under a key; `nil` when there is nothing.
  func list(_ key: ByteString) throws(CommandError) -> List? {
    switch values[key] {
    case nil: nil
    case .list(let list): list
    case .string: throw .wrongType
    }
  }

  /// When a key will go; `nil` for one that stays, or is not there.
  func deadline(_ key: ByteString, on loop: isolated EventLoop) -> EventLoop.Instant? {
    timers.isEmpty ? nil : timers[key]?.nextDeadline()
  }

  // MARK: Writing

  /// Puts a value under a key, which will stay.
  func set(_ key: ByteString, _ value: Value, on loop: isolated EventLoop) {
    values.set(key, value)
    if !timers.isEmpty { persist(key, on: loop) }
  }

  /// Puts a value under a key, whose time to live goes on.
  func replace(_ key: ByteString, _ value: Value) {
    values.set(key, value)
  }

  /// The list under a key; a new one when there is nothing, which the caller puts something into.
  func listOrNew(_ key: ByteString) throws(CommandError) -> List {
    if let list = try list(key) { return list }
    let list = List()
    values.set(key, .list(list))
    return list
  }

  /// Takes an element of a list, and the key with the last one.
  func pop(_ list: List, _ key: ByteString, at end: ListEnd, on loop: isolated EventLoop) -> ByteString? {
    let element = list.pop(at: end)
    if list.count == 0 { remove(key, on: loop) }
    return element
  }

  /// Removes a key.
  ///
  /// - Returns: Whether it was there.
  @discardableResult
  func remove(_ key: ByteString, on loop: isolated EventLoop) -> Bool {
    if !timers.isEmpty { persist(key, on: loop) }
    return values.remove(key) != nil
  }

  func removeAll(on loop: isolated EventLoop) {
    for timer in timers.values { timer.cancel() }
    timers.removeAll()
    values.removeAll()
  }

  // MARK: Time to live

  /// Gives a key, which is there, a time to live. One that has passed removes it now.
  func expire(_ key: ByteString, at deadline: EventLoop.Instant, on loop: isolated EventLoop) {
    if deadline <= loop.now {
      remove(key, on: loop)
    } else if let timer = timers[key] {
      timer.reschedule(at: deadline)
    } else {
      timers.set(key, loop.callAt(deadline) { self.timeHasCome(key) })
    }
  }

  /// Lets a key stay.
  ///
  /// - Returns: Whether it had a time to live.
  @discardableResult
  func persist(_ key: ByteString, on loop: isolated EventLoop) -> Bool {
    guard let timer = timers.remove(key) else { return false }
    timer.cancel()
    return true
  }

  private func timeHasCome(_ key: ByteString) {
    _ = timers.remove(key)
    _ = values.remove(key)
    expired += 1
  }
}
