// SPDX-License-Identifier: Apache-2.0
//
// SwiftNIO's thread pool: `runIfActive` with a loop's future, which is called back, and with `await`.

import NIOCore
import NIOPosix

enum NIOThreads {
  static let bodies: [String: Contender.Body] = [
    "run-blocking": roundTrips,
    "run-blocking-many": many,
  ]

  private static func roundTrips(_ n: Int) throws -> Reading {
    try onNIOWithPool(n) { pool, loop, finish in next(NIOCount(n, finish), pool, loop) }
  }

  private static func next(_ count: NIOCount, _ pool: NIOThreadPool, _ loop: any EventLoop) {
    let number = count.left
    pool.runIfActive(eventLoop: loop) { number }.whenSuccess { value in
      precondition(value == number)
      count.down()
      if count.left > 0 { next(count, pool, loop) }
    }
  }

  private static func many(_ n: Int) throws -> Reading {
    try onNIOWithPool(n) { pool, loop, finish in some(n, pool, loop, finish) }
  }

  private static func some(_ left: Int, _ pool: NIOThreadPool, _ loop: any EventLoop, _ finish: Finish) {
    let part = min(left, gathered)
    if part == 0 { return finish() }
    let all = (0..<part).map { number in pool.runIfActive(eventLoop: loop) { number } }
    EventLoopFuture.whenAllSucceed(all, on: loop).whenSuccess { _ in some(left - part, pool, loop, finish) }
  }
}

/// As `onNIO`, with a pool whose threads have started.
private func onNIOWithPool(
  _ n: Int, _ body: @escaping @Sendable (NIOThreadPool, any EventLoop, Finish) -> Void
) throws -> Reading {
  let pool = NIOThreadPool(numberOfThreads: poolThreads)
  pool.start()
  let loop = MultiThreadedEventLoopGroup(numberOfThreads: 1).next()
  let ready = (0..<poolThreads).map { _ in pool.runIfActive(eventLoop: loop) {} }
  try EventLoopFuture.andAllSucceed(ready, on: loop).wait()
  let promise = loop.makePromise(of: Reading.self)
  loop.execute { body(pool, loop, Finish(n, promise)) }
  return try promise.futureResult.wait()
}
