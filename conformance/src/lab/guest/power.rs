//! The work of a guest that loses its power. It changes files, and reports to the lab before and after each action. The
//! next guest examines these files.

use crate::case::context::Context;
use crate::case::file::File;
use crate::case::prepare::pattern;
use crate::case::trace::Trace;
use crate::cases::durability::{can_be_cut, is_sealed};
use crate::error::{Error, Result, at};
use crate::filesystem::FsKind;
use crate::lab::guest::nvdimm;
use crate::lab::plans::{FILES, GROWING, WORK, left, plans};
use crate::lab::protocol::{Action, Data, Examined, FileState, Message, PowerEvent, Remains, Run};
use crate::mechanism::Mechanism;
use crate::mechanism::{BLOCK_LEN, SIZE};
use crate::target::found;
use crate::target::found::Mounted;
use crate::verdict::Trouble;
use iomap_reference::{Call, MapId, Mode, Route};
use std::path::{Path, PathBuf};

const ROOT: &str = "/mnt/disk";

/// Examines the disks of an earlier guest, and works on the disk for the work, if there is one. The work never ends by
/// itself.
pub(crate) fn run(Run { fs, mechanism }: Run, tell: &mut dyn FnMut(&Message) -> Result<()>) -> Result<()> {
    std::fs::create_dir_all(ROOT).map_err(|e| Error::about(ROOT, e))?;
    let mut tell = |event| tell(&Message::Power(event));
    let (disks, blank) = match fs.is_dax() {
        true => nvdimm::devices()?,
        false => ((0..).map_while(|number| disk(&left(number))).collect(), disk(WORK)),
    };
    for (number, device) in disks.iter().enumerate() {
        let found = examine(fs, mechanism, device)?;
        tell(PowerEvent::Left(number, found))?;
    }
    let Some(device) = blank else { return Ok(()) };
    if fs.is_dax() {
        found::format(fs, &device)?;
    }
    let mounted = Mounted::mount(fs, &device, Path::new(ROOT))?;
    work(&mounted, fs, mechanism, &mut tell)
}

/// The disk that has this serial number.
pub(super) fn disk(name: &str) -> Option<PathBuf> {
    let mut devices = std::fs::read_dir("/sys/block").ok()?.flatten();
    let ours = |path: PathBuf| std::fs::read_to_string(path.join("serial")).is_ok_and(|serial| serial.trim() == name);
    devices.find(|entry| ours(entry.path())).map(|entry| Path::new("/dev").join(entry.file_name()))
}

fn directory(file: usize) -> String {
    format!("file-{file}")
}

/// The data of the write to a file, and the data of the agent. Every file has different data.
fn data(file: usize) -> [Vec<u8>; 2] {
    [100, 170].map(|seed| pattern(seed + file as u8, SIZE))
}

fn work(
    mounted: &Mounted,
    fs: FsKind,
    mechanism: Mechanism,
    tell: &mut dyn FnMut(PowerEvent) -> Result<()>,
) -> Result<()> {
    for file in 0..=GROWING {
        let path = Path::new(ROOT).join(directory(file));
        std::fs::create_dir(&path).map_err(at(&path))?;
    }
    let lacks = mounted.lacks(&directory(GROWING), mechanism);
    mounted.sync()?;
    // Keep these until the power is cut: dropping them would clean up.
    let systems: Vec<_> = (0..=GROWING).map(|file| mounted.system(&directory(file))).collect();
    let contexts: Vec<Context> =
        systems.iter().map(|system| Context::new(&**system, mechanism, Trace::default())).collect();
    let mut growing = match fs.is_dax() {
        true => Some(Growing { context: &contexts[GROWING], file: make(&contexts[GROWING])?, size: 0 }),
        false => None,
    };
    tell(PowerEvent::Working)?;
    let plans = plans(fs, mechanism);
    let carry_out = if fs.is_dax() { store } else { carry_out };
    for (number, context) in contexts[..FILES].iter().enumerate() {
        let file = make(context)?;
        for action in plans[number % plans.len()] {
            let done =
                carry_out(*action, mounted, context, &file, number, &mut || tell(PowerEvent::Begun(number, *action)));
            match done {
                Ok(()) => {
                    tell(PowerEvent::Returned(number, *action))?;
                    growing.as_mut().map_or(Ok(()), |growing| growing.grow(tell))?;
                }
                Err(trouble) => {
                    let lacks = lacks.clone().filter(|_| *action == Action::Enter);
                    tell(PowerEvent::Refused(number, *action, lacks.map_or(trouble, Trouble::NotOffered)))?;
                    break;
                }
            }
        }
    }
    tell(PowerEvent::Worked)?;
    loop {
        nix::unistd::pause();
    }
}

/// A failed preparation as an error.
fn reason(trouble: Trouble) -> Error {
    trouble.reason().into()
}

fn make<'a>(context: &'a Context<'a>) -> Result<File<'a>> {
    let ready = context.make("file", |_| Ok(())).map_err(reason)?;
    Ok(File::from_ready(context, ready))
}

/// The file that grows after every action.
struct Growing<'a> {
    context: &'a Context<'a>,
    file: File<'a>,
    size: i64,
}

impl Growing<'_> {
    fn grow(&mut self, tell: &mut dyn FnMut(PowerEvent) -> Result<()>) -> Result<()> {
        self.size += BLOCK_LEN;
        tell(PowerEvent::Begun(GROWING, Action::Extend))?;
        let call = Call::Ftruncate { fd: self.file.fd(), size: self.file.at(self.size) };
        let grown = self.context.setup(&call);
        grown.map_err(reason)?;
        tell(PowerEvent::Returned(GROWING, Action::Extend))
    }
}

fn carry_out(
    action: Action,
    mounted: &Mounted,
    t: &Context,
    file: &File,
    number: usize,
    begin: &mut dyn FnMut() -> Result<()>,
) -> std::result::Result<(), Trouble> {
    let mut begin = || begin().map_err(|error| Trouble::Setup(error.to_string()));
    let [written, agents] = data(number);
    match action {
        Action::Extend => {
            begin()?;
            t.setup(&Call::Ftruncate { fd: file.fd(), size: file.at(SIZE) }).map(drop)
        }
        Action::Write => {
            let bytes = [t.mechanism().header(), written].concat();
            begin()?;
            if t.mechanism() == Mechanism::F2fsPin {
                // A pinned file needs its storage before the data.
                let len = bytes.len() as i64;
                t.setup(&Call::Fallocate { fd: file.fd(), mode: Mode::ALLOCATE, offset: 0, len })?;
            }
            t.setup(&Call::Pwrite { fd: file.fd(), offset: 0, data: bytes }).map(drop)
        }
        Action::Sync => {
            begin()?;
            t.setup(&Call::Fsync { fd: file.fd() }).map(drop)
        }
        Action::Enter => {
            let call = file.enter_call_uncommitted()?;
            begin()?;
            t.setup(&call).map(drop)
        }
        Action::Agent => {
            let agent = file.agent()?;
            begin()?;
            agent.write(file.at(0), &agents)?;
            mounted.flush_device().map_err(|error| Trouble::Setup(error.to_string()))
        }
        Action::Leave => {
            let call = file.leave_call()?;
            begin()?;
            t.setup(&call).map(drop)
        }
    }
}

/// Like [`carry_out`], with stores by a processor. Without MAP_SYNC the file need not have its storage yet.
fn store(
    action: Action,
    mounted: &Mounted,
    t: &Context,
    file: &File,
    number: usize,
    begin: &mut dyn FnMut() -> Result<()>,
) -> std::result::Result<(), Trouble> {
    let (fd, size, [written, agents]) = (file.fd(), file.at(SIZE), data(number));
    let map = Call::Map { fd, len: size as usize, shared: true, write: true };
    match action {
        Action::Write => {
            begin().map_err(|error| Trouble::Setup(error.to_string()))?;
            t.setup(&Call::Ftruncate { fd, size })?;
            let map = t.setup_number(&map)? as MapId;
            let data = [t.mechanism().header(), written].concat();
            t.setup(&Call::Store { map, offset: 0, data })?;
            t.setup(&Call::Unmap { map }).map(drop)
        }
        Action::Agent => {
            let map = t.setup_number(&map.via(Route::MapSync))? as MapId;
            begin().map_err(|error| Trouble::Setup(error.to_string()))?;
            let store = Call::Store { map, offset: file.at(0) as usize, data: agents };
            t.setup(&store.via(Route::Flush)).map(drop)
        }
        _ => carry_out(action, mounted, t, file, number, begin),
    }
}

/// Examines every file that exists.
fn examine(fs: FsKind, mechanism: Mechanism, device: &Path) -> Result<Remains> {
    let mounted = match Mounted::mount(fs, device, Path::new(ROOT)) {
        Ok(mounted) => mounted,
        Err(reason) => return Ok(Remains::Unmountable(reason.to_string())),
    };
    let mut files = Vec::new();
    for number in 0..=GROWING {
        let system = mounted.system(&directory(number));
        let context = Context::new(&*system, mechanism, Trace::default());
        match File::survivor(&context, "file") {
            Ok(Some(file)) => files.push((number, examine_file(&context, &file, number))),
            Ok(None) => (),
            Err(trouble) => files.push((number, Err(trouble))),
        }
    }
    mounted.unmount()?;
    Ok(Remains::Files(files))
}

fn examine_file(t: &Context, file: &File, number: usize) -> Examined {
    let size = file.stat()?.size as i64 - file.at(0);
    let [written, agents] = data(number);
    let has = |data: &[u8]| file.holds(0, data).0.iter().all(|seen| seen.faults.is_empty());
    let data = match () {
        () if has(&written) => Data::Written,
        () if has(&agents) => Data::Agents,
        () => Data::Other,
    };
    // These checks try to truncate the file, so they come last.
    let sealed = is_sealed(t, file);
    Ok(FileState { size, data, sealed, unsealed: can_be_cut(t, file) })
}
