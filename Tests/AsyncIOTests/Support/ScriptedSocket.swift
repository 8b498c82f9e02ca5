// SPDX-License-Identifier: Apache-2.0
//
// A peer and a kernel in one that a test scripts: which bytes come, how many are taken, and what fails.

import AsyncIO
import Glibc
import SystemPackage

/// System calls of which each answer for bytes comes from a script; the descriptors are real, and always ready.
///
/// (One end of a pair of sockets that has something to read, and room to write.)
final class ScriptedSocket: PartialCalls {
  enum Answer: Sendable {
    /// So many bytes; of what is received, the next ones.
    case count(Int)
    case error(Errno)
  }

  private struct State: Sendable {
    var incoming: [UInt8] = []
    var received = 0
    var receiving: ArraySlice<Answer> = []
    var sending: ArraySlice<Answer> = []
    var sent: [UInt8] = []
    var calls: [String] = []
    var closed = 0
  }

  private let state = Shared(State())

  /// - Parameters:
  ///   - incoming: What the peer sends; the end follows.
  ///   - receiving: The answers to the calls that receive; afterwards they get all there is.
  ///   - sending: The answers to the calls that send; afterwards they take all.
  init(_ incoming: [UInt8] = [], receiving: [Answer] = [], sending: [Answer] = []) {
    state.change {
      $0.incoming = incoming
      $0.receiving = receiving[...]
      $0.sending = sending[...]
    }
  }

  /// What was sent so far.
  var sent: [UInt8] { state.value.sent }

  /// The names of the calls for bytes so far, with their counts.
  var calls: [String] { state.value.calls }

  /// How many descriptors were closed.
  var closed: Int { state.value.closed }

  /// Adds to the script.
  func send(answers: [Answer]) { state.change { $0.sending += answers } }

  func receive(_ descriptor: Int32, into buffer: UnsafeMutableRawBufferPointer) throws(Errno) -> Int {
    try unsafe take("recv", into: buffer)
  }

  func read(_ descriptor: Int32, into buffer: UnsafeMutableRawBufferPointer) throws(Errno) -> Int {
    try unsafe take("read", into: buffer)
  }

  private func take(_ call: String, into buffer: UnsafeMutableRawBufferPointer) throws(Errno) -> Int {
    let room = buffer.count
    let answer = change { state -> Result<[UInt8], Errno> in
      var limit = Int.max
      if !state.receiving.isEmpty {
        switch state.receiving.removeFirst() {
        case .count(let count): limit = count
        case .error(let errno):
          state.calls.append("\(call) \(errno.rawValue)")
          return .failure(errno)
        }
      }
      let bytes = Array(state.incoming[state.received...].prefix(min(limit, room)))
      state.received += bytes.count
      state.calls.append("\(call) \(bytes.count)")
      return .success(bytes)
    }
    let bytes = try answer.get()
    unsafe buffer.copyBytes(from: bytes)
    return bytes.count
  }

  func send(_ descriptor: Int32, _ buffer: UnsafeRawBufferPointer) throws(Errno) -> Int {
    try unsafe give("send", [UInt8](buffer))
  }

  func send(
    _ descriptor: Int32, _ buffers: UnsafeBufferPointer<UnsafeRawBufferPointer>
  ) throws(Errno) -> Int {
    var bytes: [UInt8] = []
    for place in buffers.indices { unsafe bytes += buffers[place] }
    return try give("sendmsg \(buffers.count):", bytes)
  }

  func write(_ descriptor: Int32, _ buffer: UnsafeRawBufferPointer) throws(Errno) -> Int {
    try unsafe give("write", [UInt8](buffer))
  }

  private func give(_ call: String, _ bytes: [UInt8]) throws(Errno) -> Int {
    try change { state -> Result<Int, Errno> in
      var limit = Int.max
      if !state.sending.isEmpty {
        switch state.sending.removeFirst() {
        case .count(let count): limit = count
        case .error(let errno):
          state.calls.append("\(call) \(errno.rawValue)")
          return .failure(errno)
        }
      }
      let taken = bytes.prefix(limit)
      state.sent += taken
      state.calls.append("\(call) \(taken.count)")
      return .success(taken.count)
    }.get()
  }

  private func change<Result: Sendable>(_ body: @Sendable (inout State) -> Result) -> Result {
    let result = Shared<Result?>(nil)
    state.change { state in
      let value = body(&state)
      result.change { $0 = value }
    }
    guard let value = result.value else { preconditionFailure("ScriptedSocket: no result") }
    return value
  }

  func close(_ descriptor: Int32) {
    state.change { $0.closed += 1 }
    LinuxSystemCalls().close(descriptor)
  }
}
