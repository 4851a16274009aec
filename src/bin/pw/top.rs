//! `pw top`: runs a program and shows its world while it runs.
//!
//! | file | what it holds |
//! |---|---|
//! | `top` | the command, one snapshot, the terminal and its keys |
//! | `top/runner` | the thread that runs the world |
//! | `top/snapshot` | what it shows of the world |
//! | `top/screen` | how that is drawn |

mod runner;
mod screen;
mod snapshot;

use std::io::IsTerminal;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clap::Args;
use physics_world::source::BadInput;
use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use crate::hibernating::Hibernating;
use crate::input;
use crate::subject::Subject;
use runner::{Order, Runner};
use screen::{Screen, Sort};

/// How often the screen is drawn anew.
const FRAME: Duration = Duration::from_millis(100);
/// The size of the screen that `--once` prints.
const ONCE_SIZE: (u16, u16) = (140, 48);

/// Run a program and show its world live: actors by gas, mailbox or memory, what they wait for, the stack and the capabilities of
/// the selected one.
///
/// Keys: up, down, page up and down, home select an actor; g, m, b, a sort by gas, mailbox, memory, address; space pauses the world,
/// n runs one tick of a paused one; p pauses the selected actor, r resumes it, s has it do one instruction; q or Ctrl-C ends.
///
/// Examples:
///   pw top examples/14-actors.jue
///   pw top --once --json --ticks 100 program.jue
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Top {
    #[command(flatten)]
    subject: Subject,
    /// Threads that run actors.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: u16,
    #[command(flatten)]
    hibernating: Hibernating,
    /// Pause the world after so many ticks.
    #[arg(long, value_name = "N")]
    ticks: Option<u64>,
    /// Show the world once, when it pauses, is idle or its first actor has ended, and end.
    #[arg(long)]
    once: bool,
    /// Show it as one JSON object.
    #[arg(long, requires = "once")]
    json: bool,
}

impl Top {
    pub(crate) fn execute(self) -> ExitCode {
        match self.run() {
            Ok(()) => ExitCode::SUCCESS,
            Err(bad) => input::refuse(&bad, self.json),
        }
    }

    fn run(&self) -> Result<(), BadInput> {
        if !self.once && !std::io::stdout().is_terminal() {
            let reason = "pw top needs a terminal; --once prints what it would show";
            return Err(BadInput::new(reason));
        }
        let runner = Runner::start(
            &self.subject,
            usize::from(self.threads),
            self.ticks,
            &self.hibernating,
        )?;
        let mut screen = Screen::new(self.subject.name());
        if self.once {
            runner.wait();
            screen.show(runner.snapshot());
            return self.print(&mut screen);
        }
        let interrupted = Arc::new(AtomicBool::new(false));
        for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
            // In raw mode Ctrl-C is a key; a signal comes from elsewhere, and leaves the terminal as it was, too.
            let _ = signal_hook::flag::register(signal, Arc::clone(&interrupted));
        }
        let failed = |error: std::io::Error| BadInput::new(format!("the terminal: {error}"));
        let mut terminal = ratatui::try_init().map_err(failed)?;
        let shown = live(&mut terminal, &runner, &mut screen, &interrupted);
        let restored = ratatui::try_restore();
        shown.and(restored).map_err(failed)
    }

    fn print(&self, screen: &mut Screen) -> Result<(), BadInput> {
        if self.json {
            input::say(&format!("{}\n", screen.snapshot().json()));
            return Ok(());
        }
        let (width, height) = ONCE_SIZE;
        for line in screen.as_text(width, height) {
            input::say(&format!("{line}\n"));
        }
        Ok(())
    }
}

/// Draws and obeys keys until the user has seen enough.
fn live(
    terminal: &mut DefaultTerminal,
    runner: &Runner,
    screen: &mut Screen,
    interrupted: &AtomicBool,
) -> std::io::Result<()> {
    while !interrupted.load(Ordering::Relaxed) {
        screen.show(runner.snapshot());
        terminal.draw(|frame| screen.draw(frame))?;
        runner.send(Order::Select(screen.selected()));
        if !event::poll(FRAME)? {
            continue;
        }
        if let Event::Key(key) = event::read()?
            && key.kind != KeyEventKind::Release
        {
            match obey(key, screen) {
                Obeyed::Quit => break,
                Obeyed::Shown => {}
                Obeyed::Order(order) => runner.send(order),
            }
        }
    }
    Ok(())
}

/// What a key asks for.
#[derive(Debug, PartialEq)]
enum Obeyed {
    Quit,
    /// It is about what is shown only.
    Shown,
    /// It is for the world.
    Order(Order),
}

/// The rows that page up and page down move.
const PAGE: i64 = 20;

fn obey(key: KeyEvent, screen: &mut Screen) -> Obeyed {
    let selected = screen.selected();
    match key.code {
        KeyCode::Char('q') => return Obeyed::Quit,
        KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => return Obeyed::Quit,
        KeyCode::Down => screen.move_selection(1),
        KeyCode::Up => screen.move_selection(-1),
        KeyCode::PageDown => screen.move_selection(PAGE),
        KeyCode::PageUp => screen.move_selection(-PAGE),
        KeyCode::Home => screen.move_selection(i64::MIN),
        KeyCode::Char('g') => screen.sort(Sort::Gas),
        KeyCode::Char('m') => screen.sort(Sort::Mailbox),
        KeyCode::Char('b') => screen.sort(Sort::Memory),
        KeyCode::Char('a') => screen.sort(Sort::Address),
        KeyCode::Char(' ') => return Obeyed::Order(Order::TogglePause),
        KeyCode::Char('n') => return Obeyed::Order(Order::OneTick),
        KeyCode::Char(key @ ('p' | 'r' | 's')) => {
            if let Some(actor) = selected {
                return Obeyed::Order(Order::of_actor(key, actor));
            }
        }
        _ => {}
    }
    Obeyed::Shown
}

#[cfg(test)]
mod tests {
    use physics_world::ActorId;
    use physics_world::runtime::inspect::Intervention;
    use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

    use super::runner::Order;
    use super::screen::Screen;
    use super::{Obeyed, obey};
    use crate::top::snapshot::tests::snapshot;

    #[test]
    fn keys_quit_select_and_give_orders() {
        let mut screen = Screen::new("x.jue".to_owned());
        let mut press = |code, modifiers| obey(KeyEvent::new(code, modifiers), &mut screen);
        assert_eq!(press(KeyCode::Char('q'), KeyModifiers::NONE), Obeyed::Quit);
        assert_eq!(
            press(KeyCode::Char('c'), KeyModifiers::CONTROL),
            Obeyed::Quit
        );
        assert_eq!(press(KeyCode::Char('c'), KeyModifiers::NONE), Obeyed::Shown);
        assert_eq!(
            press(KeyCode::Char('p'), KeyModifiers::NONE),
            Obeyed::Shown,
            "nobody is selected"
        );
        let mut screen = Screen::new("x.jue".to_owned());
        screen.show(snapshot());
        let mut press = |code| obey(KeyEvent::new(code, KeyModifiers::NONE), &mut screen);
        assert_eq!(press(KeyCode::Char(' ')), Obeyed::Order(Order::TogglePause));
        assert_eq!(press(KeyCode::Char('n')), Obeyed::Order(Order::OneTick));
        assert_eq!(press(KeyCode::Char('a')), Obeyed::Shown);
        assert_eq!(press(KeyCode::Home), Obeyed::Shown);
        let pause = |actor| Obeyed::Order(Order::Intervene(Intervention::Pause(ActorId(actor))));
        assert_eq!(press(KeyCode::Char('p')), pause(1));
        assert_eq!(press(KeyCode::Down), Obeyed::Shown);
        assert_eq!(press(KeyCode::Char('p')), pause(2));
        assert_eq!(press(KeyCode::PageDown), Obeyed::Shown);
        assert_eq!(press(KeyCode::Char('p')), pause(3), "there are three");
    }
}
