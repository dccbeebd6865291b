//! What is done in a guest that loses its power: work on files, of which the lab hears before and after each step; and
//! afterwards, in another guest, a look at what became of them.

use crate::cases::durability::{can_be_cut, is_sealed};
use crate::context::{BLOCK_LEN, Context, File, SIZE, pattern};
use crate::host::FsKind;
use crate::host::found::{self, Mounted};
use crate::lab::machine::nvdimm;
use crate::lab::protocol::{Data, Event, Found, Left, Look, Message, Run, Step};
use crate::mechanism::Mechanism;
use crate::trace::Trace;
use crate::verdict::Trouble;
use clap::ValueEnum;
use iomap_reference::{Call, MapId, Mode, Route};
use std::path::{Path, PathBuf};

/// The disk to work on.
pub(crate) const WORK: &str = "work";

/// The disks to look at: what the power loss before left, in one way and another.
pub(crate) fn left(number: usize) -> String {
    format!("left-{number}")
}

/// How many files there are. Half of them stay active as swap files, of which Linux has 23 (MAX_SWAPFILES).
pub(crate) const FILES: usize = 24;

/// The file after those, where the storage loses nothing that it has: it grows after each step, of which the kernel knows
/// in its own memory only until it commits.
pub(crate) const GROWING: usize = FILES;

/// What is done to one file and the next, in turn. The first of them is a control: nobody makes it durable.
const PLANS: [&[Step]; 4] = [
    &[Step::Write],
    &[Step::Write, Step::Enter],
    &[Step::Write, Step::Sync, Step::Enter, Step::Agent],
    &[Step::Write, Step::Sync, Step::Enter, Step::Sync, Step::Leave],
];

/// The same where a file comes into the state while it is empty; an older f2fs lets it have data.
const PLANS_OF_PINS: [&[Step]; 4] = [
    &[Step::Write],
    &[Step::Write, Step::Enter],
    &[Step::Enter, Step::Write, Step::Sync, Step::Agent],
    &[Step::Enter, Step::Write, Step::Sync, Step::Leave],
];

/// The same where a processor stores into files. The storage of a hole is that which the kernel finds during a store.
const PLANS_OF_HOLES: [&[Step]; 5] =
    [PLANS[0], PLANS[1], PLANS[2], PLANS[3], &[Step::Extend, Step::Enter, Step::Agent]];

/// What is done to the files, in turn.
pub(crate) type Plans = &'static [&'static [Step]];

/// What is done to the files of a run.
pub(crate) fn plans(fs: FsKind, mechanism: Mechanism) -> Plans {
    match mechanism {
        Mechanism::F2fsPin => &PLANS_OF_PINS,
        // No other lets a file with holes into the state.
        Mechanism::ImmutableAttr if fs.is_dax() => &PLANS_OF_HOLES,
        _ => &PLANS,
    }
}

const ROOT: &str = "/mnt/disk";

/// Looks at the disks that there are to look at, and works on the one that there is to work on, which never ends.
pub(crate) fn run(run: &Run, tell: &mut dyn FnMut(&Message) -> Result<(), String>) -> Result<(), String> {
    let fs = FsKind::from_str(&run.fs, false)?;
    let mechanism = Mechanism::from_str(&run.mechanism, false)?;
    std::fs::create_dir_all(ROOT).map_err(|e| format!("{ROOT}: {e}"))?;
    let mut tell = |event| tell(&Message::Power(event));
    let (disks, blank) = match fs.is_dax() {
        true => nvdimm::devices()?,
        false => ((0..).map_while(|number| disk(&left(number))).collect(), disk(WORK)),
    };
    for (number, device) in disks.iter().enumerate() {
        let looked = look(fs, mechanism, device)?;
        tell(Event::Left(number, looked))?;
    }
    let Some(device) = blank else { return Ok(()) };
    if fs.is_dax() {
        found::format(fs, &device)?;
    }
    let mounted = Mounted::mount(fs, &device, Path::new(ROOT))?;
    work(&mounted, fs, mechanism, &mut tell)
}

/// The disk that has this serial number.
fn disk(name: &str) -> Option<PathBuf> {
    let mut devices = std::fs::read_dir("/sys/block").ok()?.flatten();
    let ours = |path: PathBuf| std::fs::read_to_string(path.join("serial")).is_ok_and(|serial| serial.trim() == name);
    devices.find(|entry| ours(entry.path())).map(|entry| Path::new("/dev").join(entry.file_name()))
}

fn directory(file: usize) -> String {
    format!("file-{file}")
}

/// What a file is written with, and what the agent writes: of no two files the same.
fn data(file: usize) -> [Vec<u8>; 2] {
    [100, 170].map(|seed| pattern(seed + file as u8, SIZE))
}

fn work(
    mounted: &Mounted,
    fs: FsKind,
    mechanism: Mechanism,
    tell: &mut dyn FnMut(Event) -> Result<(), String>,
) -> Result<(), String> {
    for file in 0..=GROWING {
        let path = Path::new(ROOT).join(directory(file));
        std::fs::create_dir(&path).map_err(|e| format!("{}: {e}", path.display()))?;
    }
    let lacks = mounted.lacks(&directory(GROWING), mechanism);
    mounted.sync()?;
    // They last until the power goes: what ended earlier would clean up.
    let systems: Vec<_> = (0..=GROWING).map(|file| mounted.system(&directory(file))).collect();
    let contexts: Vec<Context> =
        systems.iter().map(|system| Context::new(&**system, mechanism, Trace::default())).collect();
    let mut growing = match fs.is_dax() {
        true => Some(Growing { context: &contexts[GROWING], file: make(&contexts[GROWING])?, size: 0 }),
        false => None,
    };
    tell(Event::Working)?;
    let plans = plans(fs, mechanism);
    let carry_out = if fs.is_dax() { store } else { carry_out };
    for (number, context) in contexts[..FILES].iter().enumerate() {
        let file = make(context)?;
        for step in plans[number % plans.len()] {
            let done = carry_out(*step, mounted, context, &file, number, &mut || tell(Event::Begun(number, *step)));
            match done {
                Ok(()) => {
                    tell(Event::Returned(number, *step))?;
                    growing.as_mut().map_or(Ok(()), |growing| growing.grow(tell))?;
                }
                Err(trouble) => {
                    let lacks = lacks.clone().filter(|_| *step == Step::Enter);
                    tell(Event::Refused(number, *step, lacks.map_or(trouble, Trouble::NotOffered)))?;
                    break;
                }
            }
        }
    }
    tell(Event::Worked)?;
    loop {
        nix::unistd::pause();
    }
}

fn make<'a>(context: &'a Context<'a>) -> Result<File<'a>, String> {
    let ready = context.make("file", |_| Ok(())).map_err(|trouble| format!("{trouble:?}"))?;
    Ok(File::from_ready(context, ready))
}

/// The file that grows.
struct Growing<'a> {
    context: &'a Context<'a>,
    file: File<'a>,
    size: i64,
}

impl Growing<'_> {
    fn grow(&mut self, tell: &mut dyn FnMut(Event) -> Result<(), String>) -> Result<(), String> {
        self.size += BLOCK_LEN;
        tell(Event::Begun(GROWING, Step::Extend))?;
        let call = Call::Ftruncate { fd: self.file.fd(), size: self.file.at(self.size) };
        let grown = self.context.setup(&call);
        grown.map_err(|trouble| format!("{trouble:?}"))?;
        tell(Event::Returned(GROWING, Step::Extend))
    }
}

fn carry_out(
    step: Step,
    mounted: &Mounted,
    t: &Context,
    file: &File,
    number: usize,
    begin: &mut dyn FnMut() -> Result<(), String>,
) -> Result<(), Trouble> {
    let mut begin = || begin().map_err(Trouble::Setup);
    let [written, agents] = data(number);
    match step {
        Step::Extend => {
            begin()?;
            t.setup(&Call::Ftruncate { fd: file.fd(), size: file.at(SIZE) }).map(drop)
        }
        Step::Write => {
            let bytes = [t.mechanism().header(), written].concat();
            begin()?;
            if t.mechanism() == Mechanism::F2fsPin {
                // A pinned file has to have its storage first.
                let len = bytes.len() as i64;
                t.setup(&Call::Fallocate { fd: file.fd(), mode: Mode::ALLOCATE, offset: 0, len })?;
            }
            t.setup(&Call::Pwrite { fd: file.fd(), offset: 0, data: bytes }).map(drop)
        }
        Step::Sync => {
            begin()?;
            t.setup(&Call::Fsync { fd: file.fd() }).map(drop)
        }
        Step::Enter => {
            let call = file.enter_call_uncommitted()?;
            begin()?;
            t.setup(&call).map(drop)
        }
        Step::Agent => {
            let agent = file.agent()?;
            begin()?;
            agent.write(file.at(0), &agents)?;
            mounted.flush_device().map_err(Trouble::Setup)
        }
        Step::Leave => {
            let call = file.leave_call()?;
            begin()?;
            t.setup(&call).map(drop)
        }
    }
}

/// The same where a processor stores into the file. Without MAP_SYNC nobody promises that the file has its storage yet.
fn store(
    step: Step,
    mounted: &Mounted,
    t: &Context,
    file: &File,
    number: usize,
    begin: &mut dyn FnMut() -> Result<(), String>,
) -> Result<(), Trouble> {
    let (fd, size, [written, agents]) = (file.fd(), file.at(SIZE), data(number));
    let map = Call::Map { fd, len: size as usize, shared: true, write: true };
    match step {
        Step::Write => {
            begin().map_err(Trouble::Setup)?;
            t.setup(&Call::Ftruncate { fd, size })?;
            let map = t.setup_number(&map)? as MapId;
            let data = [t.mechanism().header(), written].concat();
            t.setup(&Call::Store { map, offset: 0, data })?;
            t.setup(&Call::Unmap { map }).map(drop)
        }
        Step::Agent => {
            let map = t.setup_number(&map.via(Route::MapSync))? as MapId;
            begin().map_err(Trouble::Setup)?;
            let store = Call::Store { map, offset: file.at(0) as usize, data: agents };
            t.setup(&store.via(Route::Flush)).map(drop)
        }
        _ => carry_out(step, mounted, t, file, number, begin),
    }
}

/// What is there of each file.
fn look(fs: FsKind, mechanism: Mechanism, device: &Path) -> Result<Left, String> {
    let mounted = match Mounted::mount(fs, device, Path::new(ROOT)) {
        Ok(mounted) => mounted,
        Err(why) => return Ok(Err(why)),
    };
    let mut looks = Vec::new();
    for number in 0..=GROWING {
        let system = mounted.system(&directory(number));
        let context = Context::new(&*system, mechanism, Trace::default());
        match File::survivor(&context, "file") {
            Ok(Some(file)) => looks.push((number, look_at(&context, &file, number))),
            Ok(None) => (),
            Err(trouble) => looks.push((number, Err(trouble))),
        }
    }
    mounted.unmount()?;
    Ok(Ok(looks))
}

fn look_at(t: &Context, file: &File, number: usize) -> Look {
    let size = file.stat()?.size as i64 - file.at(0);
    let [written, agents] = data(number);
    let has = |data: &[u8]| file.holds(0, data).0.iter().all(|seen| seen.faults.is_empty());
    let data = match () {
        () if has(&written) => Data::Written,
        () if has(&agents) => Data::Agents,
        () => Data::Other,
    };
    // They try to cut it, so they come last.
    let sealed = is_sealed(t, file);
    Ok(Found { size, data, sealed, unsealed: can_be_cut(t, file) })
}
