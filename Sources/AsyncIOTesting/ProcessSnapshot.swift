// SPDX-License-Identifier: Apache-2.0
//
// What this process has, and what it has too much afterwards: descriptors, threads, children.

import AsyncIO
import Dispatch
import Glibc

/// What the process had at some time, without what it has once and keeps.
///
/// Dispatch, on which Swift's own tasks run, opens an epoll descriptor, an eventfd and a timer for each clock when they are
/// first needed, and a thread that serves them. Those are made here, before the first look, so that they are there at
/// each; but for the timer of the clock that stands behind `Task.sleep`, which nobody else uses, and is known by that.
package struct ProcessSnapshot: Sendable {
  /// The open descriptors, with what they are: `socket:[123]`, `anon_inode:[eventfd]`, …
  package let descriptors: [Int32: String]
  /// The threads, by their number, with their names. Without those of Swift's and Dispatch's pools, which come and stay as
  /// they like.
  package let threads: [Int32: String]
  /// The children that have not been reaped.
  package let children: [Int32: String]

  package init() {
    _ = Self.madeOnce
    descriptors = ProcFiles.descriptors().filter { !Self.isOfSleep($0.key, $0.value) }
    threads = ProcFiles.threads.filter { !Self.isOfAPool($0.value) }
    children = ProcFiles.children
  }

  // MARK: Comparing

  /// What is there now and was not there then. What is about to go has a second for it.
  func leftovers() -> [LeakError.Leak] {
    var left = present
    for _ in 0..<Self.looks where !left.isEmpty {
      usleep(5_000)
      left = stillThere(left)
    }
    return left
  }

  /// The same, without blocking the thread.
  package func leftovers() async -> [LeakError.Leak] {
    var left = present
    for _ in 0..<Self.looks where !left.isEmpty {
      try? await Task.sleep(for: .milliseconds(5))
      left = stillThere(left)
    }
    return left
  }

  /// How often it looks for what is left; 5 ms lie between.
  @TaskLocal package static var looks = 200

  private var present: [LeakError.Leak] { Self.difference(from: self, to: ProcessSnapshot()) }

  /// What has been there at each look: what comes and goes meanwhile is somebody else's.
  private func stillThere(_ leaks: [LeakError.Leak]) -> [LeakError.Leak] {
    let now = Set(present)
    return leaks.filter { now.contains($0) }
  }

  private static func difference(from old: ProcessSnapshot, to new: ProcessSnapshot) -> [LeakError.Leak] {
    var leaks: [LeakError.Leak] = []
    for (number, what) in new.descriptors.sorted(by: { $0.key < $1.key }) where old.descriptors[number] != what {
      leaks.append(LeakError.Leak(.descriptor, "descriptor \(number), \(what)", at: nil))
    }
    // Who asks may be the thread that runs the test.
    let own = ProcFiles.currentThread
    for (id, name) in new.threads.sorted(by: { $0.key < $1.key }) where old.threads[id] == nil && id != own {
      leaks.append(LeakError.Leak(.thread, "thread \(id), \(name)", at: nil))
    }
    for (id, name) in new.children.sorted(by: { $0.key < $1.key }) where old.children[id] == nil {
      leaks.append(LeakError.Leak(.child, "child process \(id), \(name)", at: nil))
    }
    return leaks
  }

  // MARK: What is none of a test's

  private static let madeOnce: Void = {
    EventLoop.makeWhatTheProcessKeeps()
    startSymbolizer()
    let isDone = DispatchSemaphore(value: 0)
    // What is due already needs no timer, and would be that where this thread is held up for so long.
    let soon = DispatchTimeInterval.milliseconds(100)
    DispatchQueue.global().asyncAfter(deadline: .now() + soon) { isDone.signal() }
    DispatchQueue.global().asyncAfter(wallDeadline: .now() + soon) { isDone.signal() }
    // If all threads of the pool are busy, what is made late may be taken for a leak; nobody hangs.
    for _ in 0..<2 { _ = isDone.wait(timeout: .now() + .seconds(1)) }
  }()

  /// A sanitizer starts a program that looks names up, with two pipes, at its first report, also at one that it
  /// suppresses.
  private static func startSymbolizer() {
    guard let address = unsafe dlsym(nil, "__sanitizer_symbolize_pc") else { return }
    typealias Symbolize =
      @convention(c) (
        UnsafeRawPointer, UnsafePointer<CChar>, UnsafeMutablePointer<CChar>, Int
      ) -> Void
    // SAFETY: the sanitizers' public header declares it so; it looks at the address, and fills the buffer at most.
    let symbolize = unsafe unsafeBitCast(address, to: Symbolize.self)
    var name = [CChar](repeating: 0, count: 64)
    unsafe symbolize(address, "%f", &name, name.count)
  }

  /// Whether it is the timer behind `Task.sleep`: of `CLOCK_BOOTTIME`.
  private static func isOfSleep(_ number: Int32, _ what: String) -> Bool {
    guard what == "anon_inode:[timerfd]" else { return false }
    return ProcFiles.text(of: "/proc/self/fdinfo/\(number)")?.contains("clockid: \(CLOCK_BOOTTIME)\n") == true
  }

  private static func isOfAPool(_ name: String) -> Bool {
    // They have the last 15 bytes of their queue's label: `com.apple.root.default-qos`, `….default-qos.overcommit`.
    // Swift Testing has threads of its own.
    name.contains("-qos") || name.hasPrefix("SWT ")
  }
}
