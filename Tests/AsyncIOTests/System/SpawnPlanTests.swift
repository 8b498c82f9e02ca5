// SPDX-License-Identifier: Apache-2.0
//
// In which order a child's descriptors get their numbers, and which are closed.

import AsyncIO
import Testing

@Suite struct SpawnPlanTests {
  private func plan(_ handedDown: [Int32: Int32], merging: Bool = false) -> SpawnPlan {
    var plan = SpawnPlan(path: "/bin/true", words: ["true"])
    plan.handedDown = handedDown
    plan.mergesErrors = merging
    return plan
  }

  @Test func `nothing is handed down but 0, 1 and 2`() {
    #expect(plan([:]).steps == [.closeFrom(3)])
    #expect(plan([:]).overwritten == [])
  }

  @Test func `the gaps between numbers are closed`() {
    let plan = plan([0: 20, 5: 21, 7: 22])
    #expect(
      plan.steps == [
        .duplicate(20, to: 0), .duplicate(21, to: 5), .duplicate(22, to: 7), .close(3), .close(4), .close(6),
        .closeFrom(8),
      ])
    #expect(plan.overwritten == [])
    #expect(plan.firstFree == 8)
  }

  @Test func `errors are merged into the output that the child has`() {
    #expect(plan([1: 9], merging: true).steps == [.duplicate(9, to: 1), .duplicate(1, to: 2), .closeFrom(3)])
    #expect(plan([:], merging: true).steps == [.duplicate(1, to: 2), .closeFrom(3)])
  }

  @Test func `what another step would overwrite is named`() {
    #expect(plan([1: 2, 2: 1]).overwritten == [1, 2])
    #expect(plan([3: 4, 4: 5]).overwritten == [4])
    #expect(plan([1: 2], merging: true).overwritten == [2])
    // Its own number is no conflict, but a step: it may be close-on-exec.
    #expect(plan([3: 3]).overwritten == [])
    #expect(plan([3: 3]).steps == [.duplicate(3, to: 3), .closeFrom(4)])
    // One that is in its place, and wanted in another, too.
    #expect(plan([3: 3, 4: 3]).overwritten == [3])
  }

  @Test func `others can be kept`() {
    var plan = plan([5: 21])
    plan.keepsOthers = true
    #expect(plan.steps == [.duplicate(21, to: 5)])
  }
}
