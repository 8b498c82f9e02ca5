// SPDX-License-Identifier: Apache-2.0
//
// Contract: FK-01, FK-02, FK-04, FK-06: a process that forks, and a child that uses what is its parent's.
//
// A fork of the tests would be one of all that they do at the time. So these start a program.

import Glibc
import Testing

// Not under a sanitizer: that of threads ends such a child, and that of addresses writes its own words in its place.
@Suite(.oneAtATime, .enabled(if: !ProcessFacts.keepsFreedMemory)) struct ForkTests {
  private func play(_ scene: String) throws -> (output: String, code: Int32) {
    try ChildProgram.start(besideTests: "main-thread-program", [scene]).finish()
  }

  private static let loopWords =
    "EventLoop: the process was forked, and the loop is its parent's; start other programs by spawning them"
  private static let poolWords = "ThreadPool: the process was forked, and the threads are its parent's"

  @Test func `FK-01: a child has no loop and no task, and may make a loop of its own`() throws {
    #expect(try play("fork-own-loop") == ("done\n", 0))
  }

  @Test func `FK-01: the parent's loop goes on, whatever its children do`() throws {
    #expect(try play("fork-parent-goes-on") == ("done\n", 0))
  }

  @Test func `FK-01: a child that lets go of the loop takes nothing from the parent's`() throws {
    #expect(try play("fork-drop") == ("done\n", 0))
  }

  @Test(arguments: [
    "return", "call-soon", "create-task", "add-reader", "add-signal", "stop", "threadsafe", "coroutine", "future",
    "pool-of-loop", "await", "idle", "close",
  ])
  func `FK-06: a child that uses its parent's loop is stopped, and told why`(scene: String) throws {
    let (output, code) = try play("fork-\(scene)")
    #expect(output.contains(Self.loopWords))
    #expect(!output.contains("came back"))
    // By the parent only.
    let isOnce = output.split(separator: "\n").filter { $0 == "next callback" }.count <= 1
    #expect(isOnce)
    // The parent ends well.
    #expect(output.contains("child ended with -"))
    #expect(output.hasSuffix("done\n"))
    #expect(code == 0)
  }

  @Test func `FK-06: a child that uses its parent's threads is stopped, and told why`() throws {
    let (output, code) = try play("fork-pool")
    #expect(output.contains(Self.poolWords))
    #expect(!output.contains("came back"))
    #expect(output.hasSuffix("done\n"))
    #expect(code == 0)
  }

  @Test func `FK-02: a signal to the child does not run the parent's handlers`() throws {
    #expect(try play("fork-signal") == ("done\n", 0))
  }

  @Test func `FK-04: a fork in the middle of work of other threads: no child hangs`() throws {
    #expect(try play("fork-busy") == ("done\n", 0))
  }
}
