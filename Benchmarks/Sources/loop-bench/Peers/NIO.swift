// SPDX-License-Identifier: Apache-2.0
//
// SwiftNIO: callbacks by `execute`, timers by `scheduleTask`, tasks as promises. It has no cancellable tasks on its loop:
// what comes nearest is work that is submitted, and a promise of its result.

import CRawLibevent
import NIOCore
import NIOPosix

extension Contender {
  static let nio = Contender(
    name: "nio",
    work: .here(
      [
        "soon-batch": NIOCallbacks.batch,
        "soon-chain": NIOCallbacks.chain,
        "threadsafe": NIOCallbacks.threadsafe,
        "spawn-await": NIOPromises.spawnAwait,
        "pingpong": NIOPromises.pingPong,
        "gather": NIOPromises.gather,
        "sleep-gather": NIOPromises.sleepGather,
      ] + NIOTimers<NIOTask>.bodies + NIOThreads.bodies))
}

/// Measures a body on the thread of a loop, until it succeeds the promise that it gets.
func onNIO(_ n: Int, _ body: @escaping @Sendable (any EventLoop, Finish) -> Void) throws -> Reading {
  let loop = MultiThreadedEventLoopGroup(numberOfThreads: 1).next()
  let promise = loop.makePromise(of: Reading.self)
  loop.execute { body(loop, Finish(n, promise)) }
  return try promise.futureResult.wait()
}

/// The end of a measurement, which has begun when this was made.
struct Finish: Sendable {
  private let n: Int
  private let promise: EventLoopPromise<Reading>
  private let watch = Stopwatch()

  init(_ n: Int, _ promise: EventLoopPromise<Reading>) {
    self.n = n
    self.promise = promise
  }

  func callAsFunction() { promise.succeed(watch.reading(n)) }

  func callAsFunction(_ reading: Reading) { promise.succeed(reading) }
}

/// Confined to the loop.
final class NIOCount: @unchecked Sendable {
  private(set) var left: Int
  private let finish: Finish

  init(_ n: Int, _ finish: Finish) {
    left = n
    self.finish = finish
  }

  func down() {
    left -= 1
    if left == 0 { finish() }
  }
}

private enum NIOCallbacks {
  static func batch(_ n: Int) throws -> Reading {
    try onNIO(n) { loop, finish in
      let count = NIOCount(n, finish)
      for _ in 0..<n { loop.execute { count.down() } }
    }
  }

  static func chain(_ n: Int) throws -> Reading {
    try onNIO(n) { loop, finish in link(NIOCount(n, finish), loop) }
  }

  private static func link(_ count: NIOCount, _ loop: any EventLoop) {
    loop.execute {
      count.down()
      if count.left > 0 { link(count, loop) }
    }
  }

  static func threadsafe(_ n: Int) throws -> Reading {
    try onNIO(n) { loop, finish in
      pin_to_core(0)
      arrivals = NIOCount(n, finish)
      inThread {
        pin_to_core(1)
        for _ in 0..<n { loop.execute { arrivals?.down() } }
      }
    }
  }

  /// Used on the loop only.
  private nonisolated(unsafe) static var arrivals: NIOCount?
}

private enum NIOPromises {
  static func spawnAwait(_ n: Int) throws -> Reading {
    try onNIO(n) { loop, finish in spawn(NIOCount(n, finish), loop) }
  }

  private static func spawn(_ count: NIOCount, _ loop: any EventLoop) {
    loop.submit {}.whenSuccess {
      count.down()
      if count.left > 0 { spawn(count, loop) }
    }
  }

  /// Each hand-over is a promise that is kept in the next turn: within one, the callbacks of a promise run on the stack of
  /// who keeps it, one in the other.
  static func pingPong(_ n: Int) throws -> Reading {
    try onNIO(n) { loop, finish in pass(NIOCount(n, finish), loop) }
  }

  private static func pass(_ count: NIOCount, _ loop: any EventLoop) {
    hand(to: loop) {
      hand(to: loop) {
        count.down()
        if count.left > 0 { pass(count, loop) }
      }
    }
  }

  private static func hand(to loop: any EventLoop, _ receive: @escaping @Sendable () -> Void) {
    let ball = loop.makePromise(of: Int.self)
    ball.futureResult.whenSuccess { _ in receive() }
    loop.execute { ball.succeed(1) }
  }

  static func gather(_ n: Int) throws -> Reading {
    try onNIO(n) { loop, finish in gatherSome(n, loop, finish) }
  }

  private static func gatherSome(_ left: Int, _ loop: any EventLoop, _ finish: Finish) {
    let some = min(left, gathered)
    if some == 0 { return finish() }
    let all = (0..<some).map { _ in loop.submit {} }
    EventLoopFuture.andAllSucceed(all, on: loop).whenSuccess { gatherSome(left - some, loop, finish) }
  }

  static func sleepGather(_ n: Int) throws -> Reading {
    try onNIO(n) { loop, finish in
      var delays = Delays()
      let all = (0..<n).map { _ in loop.scheduleTask(in: .microseconds(Int64(delays.short()))) {}.futureResult }
      EventLoopFuture.andAllSucceed(all, on: loop).whenSuccess { finish() }
    }
  }
}
