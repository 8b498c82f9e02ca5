// SPDX-License-Identifier: Apache-2.0
//
// From what the caller asks for to a child: the environment, the program's file, the pipes, and what is closed again.

import CLinux
import Glibc
import SystemPackage

/// One start of a child.
///
/// Invariant: each descriptor that it opens has an owner from the moment of its birth; those that are the child's go with
/// this object, whether the child has started or not.
final class ChildLaunch {
  private var plan: SpawnPlan
  private let processCalls: any ProcessCalls
  private let systemCalls: any SystemCalls
  private var childEnds: [DescriptorBox] = []
  private var pipes = ChildPipes()
  private var searchPath: String?

  init(_ plan: SpawnPlan, on loop: isolated EventLoop) {
    self.plan = plan
    processCalls = loop.processCalls
    systemCalls = loop.systemCalls
  }

  // MARK: Environment

  func setEnvironment(_ environment: ChildProcess.Environment) throws {
    switch environment {
    case .inherit:
      // SAFETY: null, or a C string that lives while nobody changes the environment.
      searchPath = unsafe getenv("PATH").map { unsafe String(cString: $0) }
    case .replace(let variables):
      plan.environment = try variables.sorted { $0.key < $1.key }.map { try Self.line($0.key, $0.value) }
      searchPath = variables["PATH"]
    case .update(let changes):
      let changes = changes.sorted { $0.key < $1.key }
      for (name, _) in changes { _ = try Self.line(name, "") }
      let changed = Set(changes.map(\.key))
      let kept = Self.ownVariables.filter { line in !changed.contains(String(line.prefix { $0 != "=" })) }
      plan.environment = try kept + changes.compactMap { name, value in try value.map { try Self.line(name, $0) } }
      searchPath = plan.environment?.first { $0.hasPrefix("PATH=") }.map { String($0.dropFirst(5)) }
    }
  }

  private static func line(_ name: String, _ value: String) throws(InvalidArgumentError) -> String {
    guard !name.isEmpty, !name.utf8.contains(UInt8(ascii: "=")) else {
      throw InvalidArgumentError(
        "spawn: \(name.debugDescription) is no name of a variable; one is not empty, and has no equals sign")
    }
    return "\(name)=\(value)"
  }

  private static var ownVariables: [String] {
    var lines: [String] = []
    // SAFETY: a null-terminated list of C strings, which live while nobody changes the environment.
    guard var next = unsafe clinux_environ() else { return [] }
    while let line = unsafe next.pointee {
      lines.append(unsafe String(cString: line))
      unsafe next += 1
    }
    return lines
  }

  // MARK: Descriptors

  func connect(
    _ input: ChildProcess.Input, _ output: ChildProcess.Output, _ errors: ChildProcess.ErrorOutput
  ) throws {
    switch input {
    case .inherit: break
    case .null: try open("/dev/null", O_RDONLY, as: 0)
    case .pipe:
      let (readEnd, writeEnd) = try pipe()
      pipes.input = try own(writeEnd, their: readEnd, as: 0)
    case .file(let path): try open(path.string, O_RDONLY, as: 0)
    case .descriptor(let descriptor): try handDown(descriptor.rawValue, as: 0)
    }
    switch output {
    case .inherit: break
    case .null: try open("/dev/null", O_WRONLY, as: 1)
    case .pipe: pipes.output = try pipe(from: 1)
    case .file(let path): try open(path.string, O_WRONLY | O_CREAT | O_TRUNC, as: 1)
    case .appending(let path): try open(path.string, O_WRONLY | O_CREAT | O_APPEND, as: 1)
    case .descriptor(let descriptor): try handDown(descriptor.rawValue, as: 1)
    }
    switch errors {
    case .inherit: break
    case .null: try open("/dev/null", O_WRONLY, as: 2)
    case .pipe: pipes.errors = try pipe(from: 2)
    case .merged: plan.mergesErrors = true
    case .file(let path): try open(path.string, O_WRONLY | O_CREAT | O_TRUNC, as: 2)
    case .appending(let path): try open(path.string, O_WRONLY | O_CREAT | O_APPEND, as: 2)
    case .descriptor(let descriptor): try handDown(descriptor.rawValue, as: 2)
    }
  }

  /// Gives the child a descriptor that stays the caller's.
  func handDown(_ descriptor: Int32, as number: Int32) throws(InvalidArgumentError) {
    guard (0..<1_024).contains(number) else {
      throw InvalidArgumentError("spawn: a descriptor cannot have the number \(number); give one from 0 to 1023")
    }
    if number == 2 { plan.mergesErrors = false }
    plan.handedDown[number] = descriptor
  }

  private func open(_ path: String, _ flags: Int32, as number: Int32) throws {
    try Self.check(path, "a path")
    do throws(Errno) {
      // A terminal that is opened here does not become this process's own.
      let raw = try processCalls.open(path, flags | O_NOCTTY)
      plan.handedDown[number] = keep(box(raw))
    } catch {
      throw SystemError(error, in: "open")
    }
  }

  private func pipe(from number: Int32) throws(SystemError) -> ChildPipe {
    let (readEnd, writeEnd) = try pipe()
    return try own(readEnd, their: writeEnd, as: number)
  }

  private func pipe() throws(SystemError) -> (readEnd: DescriptorBox, writeEnd: DescriptorBox) {
    do throws(Errno) {
      let ends = try processCalls.pipe()
      return (box(ends.readEnd), box(ends.writeEnd))
    } catch {
      throw SystemError(error, in: "pipe2")
    }
  }

  /// Only our end is non-blocking: the other one is as a program expects it.
  private func own(
    _ ours: DescriptorBox, their end: DescriptorBox, as number: Int32
  ) throws(SystemError) -> ChildPipe {
    plan.handedDown[number] = keep(end)
    do throws(Errno) {
      try processCalls.setNonBlocking(ours.rawValue)
    } catch {
      throw SystemError(error, in: "fcntl")
    }
    guard let owned = ours.take() else { preconditionFailure("taken once") }
    return ChildPipe(owned)
  }

  private func keep(_ end: DescriptorBox) -> Int32 {
    childEnds.append(end)
    return end.rawValue
  }

  private func box(_ raw: Int32) -> DescriptorBox { DescriptorBox(OwnedSocket(owning: raw, calls: systemCalls)) }

  // MARK: The start

  func start(_ fileID: StaticString, _ line: UInt, on loop: isolated EventLoop) throws -> ChildProcess {
    for word in plan.words { try Self.check(word, "an argument") }
    for line in plan.environment ?? [] { try Self.check(line, "a variable") }
    if let directory = plan.directory { try Self.check(directory, "a path") }
    try moveOverwritten()
    let id: Int32
    do throws(Errno) {
      plan.path = try ProgramSearch.find(plan.path, along: searchPath, from: plan.directory)
      id = try processCalls.spawn(plan)
    } catch {
      // One number stands for what went wrong in the child, be it the directory or the program.
      if let directory = plan.directory, let obstacle = ProgramSearch.obstacle(to: directory) {
        throw SystemError(obstacle, in: "chdir")
      }
      throw SystemError(error, in: "posix_spawn")
    }
    return ChildProcess(try ChildExit(id, CreationSite(fileID, line), on: loop), pipes, on: loop)
  }

  /// Descriptors that the child's own steps would overwrite too early get another number first.
  private func moveOverwritten() throws(SystemError) {
    for descriptor in plan.overwritten {
      do throws(Errno) {
        let moved = keep(box(try processCalls.duplicate(descriptor, atLeast: plan.firstFree)))
        plan.handedDown = plan.handedDown.mapValues { $0 == descriptor ? moved : $0 }
      } catch {
        throw SystemError(error, in: "fcntl")
      }
    }
  }

  /// C would end the text at a zero.
  private static func check(_ text: String, _ what: String) throws(InvalidArgumentError) {
    var text = text
    let hasZero = text.withUTF8 { bytes in
      // SAFETY: the text is a C string for no more than its own length.
      unsafe bytes.baseAddress.map { unsafe memchr($0, 0, bytes.count) != nil } ?? false
    }
    if hasZero {
      throw InvalidArgumentError("spawn: \(what) has a zero character in it: \(text.debugDescription)")
    }
  }
}

/// A descriptor in a list.
final class DescriptorBox {
  private var owned: OwnedSocket?
  let rawValue: Int32

  init(_ owned: consuming OwnedSocket) {
    rawValue = owned.rawValue
    self.owned = consume owned
  }

  func take() -> OwnedSocket? { owned.take() }
}
