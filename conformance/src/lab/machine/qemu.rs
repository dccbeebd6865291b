//! The command line of QEMU, and the choice of its accelerator.

use crate::error::{Error, Result};
use crate::host::sys::process;
use crate::kernel::INIT;
use crate::lab::cache::Cache;
use crate::lab::machine::hardware::{self, Hardware};
use crate::lab::machine::kernel::BootKernel;
use crate::lab::protocol::{GUEST_COMMAND, PORT};
use crate::programs;
use iomap_command::tell_line;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// The program of QEMU.
pub(crate) const QEMU: &str = "qemu-system-x86_64";

/// The engine that executes the instructions of the guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Accelerator {
    /// KVM where it boots the kernel, else TCG
    Auto,
    /// The processor
    Kvm,
    /// QEMU, about ten times slower, anywhere
    Tcg,
}

impl Accelerator {
    fn arguments(self) -> &'static [&'static str] {
        match self {
            Self::Kvm => &["-accel", "kvm", "-cpu", "host", "-smp", "2"],
            // More threads would be slower, because they wait for each other.
            Self::Tcg | Self::Auto => &["-accel", "tcg,thread=single", "-cpu", "qemu64,+rdrand", "-smp", "1"],
        }
    }

    /// The addition to the kernel's command line for the clock. On a busy machine the kernel measures the speed of an
    /// emulated processor wrongly, sometimes tenfold, and its time would run too fast. So it must use another clock.
    fn clock(self) -> &'static str {
        if self == Self::Kvm { "" } else { " tsc=unstable" }
    }
}

/// The maximum memory below 4 GiB, in MiB; devices are there, too.
const LOW: u32 = 3072;

/// The way in which a person takes part in a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Attendance {
    /// There is no person.
    Batch,
    /// The console is the terminal.
    Terminal,
    /// The machine waits for a debugger before the first instruction.
    Debugger,
}

/// A machine to start.
pub(crate) struct Machine<'a> {
    pub(crate) kernel: &'a BootKernel,
    pub(crate) initramfs: &'a Path,
    pub(crate) accelerator: Accelerator,
    /// The memory in MiB.
    pub(crate) memory: u32,
    /// The file for the text of the console.
    pub(crate) console: &'a Path,
    pub(crate) attendance: Attendance,
    pub(crate) hardware: Vec<&'static Hardware>,
    /// The arguments of QEMU for disks.
    pub(crate) disks: Vec<String>,
    /// Whether the clock of the guest counts its instructions: one nanosecond each.
    pub(crate) counts: bool,
}

impl<'a> Machine<'a> {
    /// A machine for work without a person and without disks.
    pub(crate) fn new(
        kernel: &'a BootKernel,
        accelerator: Accelerator,
        memory: u32,
        initramfs: &'a Path,
        console: &'a Path,
        hardware: Vec<&'static Hardware>,
    ) -> Self {
        let (attendance, disks) = (Attendance::Batch, Vec::new());
        Self { kernel, initramfs, accelerator, memory, console, attendance, hardware, disks, counts: false }
    }

    /// The same machine for a person.
    pub(crate) fn attended(self, attendance: Attendance) -> Self {
        Self { attendance, ..self }
    }

    /// The arguments of QEMU. Its standard output is the host's end of the port.
    pub(crate) fn arguments(&self) -> Vec<String> {
        let console = match self.attendance {
            Attendance::Terminal => "mon:stdio".to_owned(),
            Attendance::Batch | Attendance::Debugger => format!("file:{}", self.console.display()),
        };
        let pmem = hardware::pmem(&self.hardware);
        let mut arguments = common(self.kernel, self.accelerator, self.memory + pmem, &console, &self.command_line());
        if pmem > 0 {
            // Put some memory above 4 GiB, at least as much as is persistent.
            arguments.extend(["-machine".into(), format!("pc,max-ram-below-4g={}M", self.memory.min(LOW))]);
        }
        let port = format!("virtserialport,chardev=results,name={PORT}");
        let output = if self.attendance == Attendance::Terminal { "/dev/null" } else { "/dev/stdout" };
        arguments.extend(["-initrd".to_owned(), self.initramfs.display().to_string()]);
        arguments.extend(["-device".into(), "virtio-serial-pci".into()]);
        arguments.extend(["-chardev".into(), format!("file,id=results,path={output}")]);
        arguments.extend(["-device".into(), port]);
        arguments.extend(self.hardware.iter().flat_map(|row| row.arguments).map(|word| (*word).to_owned()));
        arguments.extend(self.disks.iter().cloned());
        if self.counts {
            // The time of day decides which calls write it to an inode.
            let rtc = "base=2026-01-01T00:00:00,clock=vm";
            arguments.extend(["-icount", "shift=0,sleep=off", "-rtc", rtc].map(String::from));
        }
        if self.attendance == Attendance::Debugger {
            arguments.extend(["-s".to_owned(), "-S".to_owned()]);
        }
        arguments
    }

    /// The command line of the kernel. A panic, and the end of the first process, cause a reboot, at which QEMU ends.
    /// The console shows warnings, but no notices. The check of the timer is off, because on a busy machine the kernel
    /// could miss timer interrupts for so long that it would give up.
    fn command_line(&self) -> String {
        let addresses = match self.attendance {
            Attendance::Debugger => " nokaslr",
            // Random addresses would change the number of instructions.
            _ if self.counts => " nokaslr norandmaps",
            Attendance::Batch | Attendance::Terminal => "",
        };
        let init = format!("rdinit={INIT} -- {GUEST_COMMAND}");
        let hardware: String = self
            .hardware
            .iter()
            .map(|row| row.line)
            .filter(|line| !line.is_empty())
            .map(|line| format!(" {line}"))
            .collect();
        let clock = self.accelerator.clock();
        format!("console=ttyS0 loglevel=5 panic=-1 reboot=t no_timer_check{clock}{addresses}{hardware} {init}")
    }

    /// The command that starts the machine. The machine ends with the process that started it.
    pub(crate) fn command(&self) -> Command {
        bound(&self.arguments())
    }

    /// The same command for people, as a line of a shell.
    pub(crate) fn line(&self) -> String {
        let quote = |word: &String| match word.chars().all(|c| c.is_ascii_alphanumeric() || "-_=,./:+".contains(c)) {
            true => word.clone(),
            false => format!("'{}'", word.replace('\'', r"'\''")),
        };
        let words: Vec<String> = self.arguments().iter().map(quote).collect();
        format!("{QEMU} {}", words.join(" "))
    }
}

fn common(kernel: &BootKernel, accelerator: Accelerator, memory: u32, console: &str, line: &str) -> Vec<String> {
    let mut arguments: Vec<String> =
        ["-nodefaults", "-no-user-config", "-no-reboot", "-display", "none"].map(String::from).into();
    arguments.extend(accelerator.arguments().iter().map(|word| (*word).to_owned()));
    arguments.extend(["-m".into(), memory.to_string(), "-kernel".into(), kernel.image.display().to_string()]);
    arguments.extend(["-append".into(), line.to_owned(), "-serial".into(), console.to_owned()]);
    arguments
}

fn bound(arguments: &[String]) -> Command {
    let mut command = Command::new(QEMU);
    process::end_with_parent(command.args(arguments));
    command
}

/// The first missing program, in one line, or `None`.
pub(crate) fn missing() -> Option<String> {
    let programs = [(QEMU, "qemu-system-x86"), ("ldd", "libc-bin")];
    let kmod = [("depmod", "kmod"), ("modprobe", "kmod")];
    let missing = programs.into_iter().chain(kmod).find(|(program, _)| programs::find(program).is_none());
    missing.map(|(program, package)| format!("the lab needs {program}: apt-get install {package}"))
}

/// The time limit for a boot with KVM, which normally takes a second or two.
const PROBE: Duration = Duration::from_secs(20);

/// Chooses the accelerator. The existence of /dev/kvm is not enough: inside some virtual machines it cannot boot a
/// kernel. So the kernel is booted once without an initramfs. If it reaches the panic about the missing root file
/// system, KVM works. The answer is remembered.
pub(crate) fn choose(wanted: Accelerator, kernel: &BootKernel, cache: &Cache) -> Result<Accelerator> {
    if wanted != Accelerator::Auto {
        return Ok(wanted);
    }
    if File::options().read(true).write(true).open("/dev/kvm").is_err() {
        return Ok(Accelerator::Tcg);
    }
    let key = format!("{}-{}", cache.digest(&kernel.image)?, crate::kernel::release());
    let ask = || Ok(if boots(kernel)? { "kvm" } else { "tcg" }.to_owned());
    let answer = cache.answer(&format!("whether KVM boots {key}"), "", ask)?;
    Ok(if answer == "kvm" { Accelerator::Kvm } else { Accelerator::Tcg })
}

fn boots(kernel: &BootKernel) -> Result<bool> {
    tell_line(format_args!("trying whether KVM boots {}", kernel.release()));
    let line = "console=ttyS0 panic=-1 reboot=t";
    let arguments = common(kernel, Accelerator::Kvm, 512, "stdio", line);
    let mut command = bound(&arguments);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|e| Error::about(QEMU, e))?;
    let (sender, lines) = channel();
    let outputs: [Option<Box<dyn std::io::Read + Send>>; 2] =
        [child.stdout.take().map(|o| Box::new(o) as _), child.stderr.take().map(|e| Box::new(e) as _)];
    for output in outputs.into_iter().flatten() {
        let sender = sender.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(output).split(b'\n').map_while(std::result::Result::ok) {
                // Sending fails if the listener has enough lines.
                let _ = sender.send(String::from_utf8_lossy(&line).into_owned());
            }
        });
    }
    drop(sender);
    let deadline = Instant::now() + PROBE;
    let booted = loop {
        match lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(line) if line.contains("VFS: Unable to mount root fs") => break true,
            Ok(line) if line.contains("KVM internal error") => break false,
            Ok(_) => (),
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => break false,
        }
    };
    let _ = child.kill();
    let _ = child.wait();
    Ok(booted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use iomap_results::Kernel;
    use std::path::PathBuf;

    #[test]
    fn a_line_for_a_shell() {
        let identity = Kernel::of_release("6.12");
        let kernel = BootKernel { identity, image: PathBuf::from("/k/it's"), modules: None, symbols: None };
        let (initramfs, console) = (Path::new("/i"), Path::new("/c"));
        let machine = Machine::new(&kernel, Accelerator::Tcg, 512, initramfs, console, Vec::new());
        let line = machine.line();
        assert!(line.contains(r"-kernel '/k/it'\''s' -append 'console=ttyS0 "), "{line}");
        assert!(line.contains(" -serial file:/c -initrd /i "), "{line}");
    }
}
