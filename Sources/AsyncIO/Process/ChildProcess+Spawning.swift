// SPDX-License-Identifier: Apache-2.0
//
// Starting a child.

public import SystemPackage

extension ChildProcess {
  /// Starts a program as a child, on the loop that runs on this thread. asyncio's `create_subprocess_exec`.
  ///
  /// ```swift
  /// let child = try ChildProcess.spawn("ls", ["-l"], stdout: .pipe, workingDirectory: "/tmp")
  /// ```
  ///
  /// The child gets the descriptors that are named here, and no others, even if they are not close-on-exec. No signal is
  /// blocked in it, and none ignored.
  ///
  /// It returns when the program runs, or could not be started: a synchronous call, which takes as long as
  /// `posix_spawn`.
  ///
  /// - Parameters:
  ///   - program: Its file; without a slash, it is looked for along the `PATH` of the child's environment. A relative
  ///     path starts from the child's directory.
  ///   - arguments: What follows the program's name.
  ///   - stdin: Where its standard input comes from.
  ///   - stdout: Where its standard output goes.
  ///   - stderr: Where its standard error goes.
  ///   - workingDirectory: Where it begins; `nil`: where this process is.
  ///   - environment: Its environment variables.
  ///   - group: Its process group, or a session of its own.
  ///   - descriptors: Further descriptors of this process, by the number, up to 1023, that each is to have in the child.
  ///     They stay the caller's. For 0, 1 and 2 they go before `stdin`, `stdout` and `stderr`.
  ///   - keepsDescriptors: Whether the child gets also those descriptors of this process that are not close-on-exec, of
  ///     which there may be any, under their own numbers: the opposite of Python's `close_fds`.
  ///   - fileID: With `line`, where it was started, for tests that name what is left; leave it to its default.
  ///   - line: As `fileID`.
  /// - Throws: ``SystemError``, with the call that failed: of `posix_spawn`, `ENOENT` for a program that is not there,
  ///   `EACCES` for one that may not be run, `ENOEXEC` for a file that is no program, `E2BIG` for arguments and variables
  ///   that are too long, `EAGAIN` when there may be no more processes; of `chdir`, what is wrong with the directory; of
  ///   `open`, with a file; `EMFILE` of `pipe2`. ``InvalidArgumentError`` for a zero character, and a bad name of a
  ///   variable or number of a descriptor. ``NoRunningLoopError``; ``LoopClosedError``. After an error nothing is left of
  ///   the attempt.
  public static func spawn(
    _ program: String, _ arguments: [String] = [], stdin: Input = .inherit, stdout: Output = .inherit,
    stderr: ErrorOutput = .inherit, workingDirectory: FilePath? = nil, environment: Environment = .inherit,
    group: Group = .inherit, descriptors: [Int32: FileDescriptor] = [:], keepsDescriptors: Bool = false,
    fileID: StaticString = #fileID, line: UInt = #line
  ) throws -> ChildProcess {
    var plan = SpawnPlan(path: program, words: [program] + arguments)
    plan.directory = workingDirectory?.string
    plan.keepsOthers = keepsDescriptors
    switch group {
    case .inherit: break
    case .new: plan.group = 0
    case .joining(let number): plan.group = number
    case .newSession: plan.startsSession = true
    }
    let loop = try EventLoop.running
    return try loop.assumeIsolated { loop in
      if loop.isClosing { throw LoopClosedError() }
      let launch = ChildLaunch(plan, on: loop)
      try launch.setEnvironment(environment)
      try launch.connect(stdin, stdout, stderr)
      for (number, descriptor) in descriptors.sorted(by: { $0.key < $1.key }) {
        try launch.handDown(descriptor.rawValue, as: number)
      }
      return Confined(value: try launch.start(fileID, line, on: loop))
    }.value
  }

  /// Starts a command of the shell, `/bin/sh`, as a child. asyncio's `create_subprocess_shell`.
  ///
  /// ```swift
  /// let child = try ChildProcess.shell("ls | wc -l", stdout: .pipe)
  /// ```
  ///
  /// A signal goes to the shell, and not to what it has started. What came from outside has no place in the command, where
  /// the shell would read it: give it as an argument, which the command knows as `$1`, `$2`, …
  ///
  /// - Parameters:
  ///   - command: As a shell reads it.
  ///   - arguments: What the command knows as `$1`, `$2`, …
  ///   - stdin: As in `spawn`, and so are all that follow.
  ///   - stdout: See there.
  ///   - stderr: See there.
  ///   - workingDirectory: See there.
  ///   - environment: See there.
  ///   - group: See there.
  ///   - descriptors: See there.
  ///   - keepsDescriptors: See there.
  ///   - fileID: See there.
  ///   - line: See there.
  /// - Throws: As `spawn`. A command that is not there is not among it: the shell then ends with code 127.
  public static func shell(
    _ command: String, _ arguments: [String] = [], stdin: Input = .inherit, stdout: Output = .inherit,
    stderr: ErrorOutput = .inherit, workingDirectory: FilePath? = nil, environment: Environment = .inherit,
    group: Group = .inherit, descriptors: [Int32: FileDescriptor] = [:], keepsDescriptors: Bool = false,
    fileID: StaticString = #fileID, line: UInt = #line
  ) throws -> ChildProcess {
    try spawn(
      "/bin/sh", ["-c", command, "sh"] + arguments, stdin: stdin, stdout: stdout, stderr: stderr,
      workingDirectory: workingDirectory, environment: environment, group: group, descriptors: descriptors,
      keepsDescriptors: keepsDescriptors, fileID: fileID, line: line)
  }
}
