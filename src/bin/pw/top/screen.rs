//! How a world is drawn.

use std::cmp::Reverse;

use physics_world::ActorId;
use physics_world::runtime::inspect::{ActorView, Doing};
use ratatui::backend::TestBackend;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Borders, Paragraph, Row, Table};
use ratatui::{Frame, Terminal};

use super::snapshot::{Snapshot, capability_text, frame_text};
use crate::hibernating::hibernation_text;
use crate::table::place_text;

/// What actors are sorted by.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Sort {
    Gas,
    Mailbox,
    Memory,
    Address,
}

/// What is seen, and how.
pub(super) struct Screen {
    title: String,
    snapshot: Snapshot,
    /// What happened in a second, up to the latest snapshot.
    rates: Rates,
    sort: Sort,
    selected: Option<ActorId>,
}

/// How much happens in a second.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Rates {
    ticks: f64,
    turns: f64,
    messages: f64,
}

impl Rates {
    fn between(before: &Snapshot, now: &Snapshot) -> Rates {
        let seconds = now.time.saturating_sub(before.time).as_secs_f64();
        let rate = |before: u64, now: u64| now.saturating_sub(before) as f64 / seconds;
        Rates {
            ticks: rate(before.ticks, now.ticks),
            turns: rate(before.statistics.slices, now.statistics.slices),
            messages: rate(before.statistics.delivered, now.statistics.delivered),
        }
    }
}

impl Screen {
    /// A screen without a world.
    pub(super) fn new(title: String) -> Screen {
        Screen {
            title,
            snapshot: Snapshot::default(),
            rates: Rates::default(),
            sort: Sort::Gas,
            selected: None,
        }
    }

    /// Shows a newer snapshot.
    pub(super) fn show(&mut self, mut snapshot: Snapshot) {
        if snapshot.time > self.snapshot.time {
            self.rates = Rates::between(&self.snapshot, &snapshot);
        }
        sort(&mut snapshot.actors, self.sort);
        self.snapshot = snapshot;
        let is_there = |id| self.snapshot.actors.iter().any(|actor| actor.id == id);
        if !self.selected.is_some_and(is_there) {
            self.selected = self.snapshot.actors.first().map(|actor| actor.id);
        }
    }

    /// What is shown.
    pub(super) fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// The selected actor.
    pub(super) fn selected(&self) -> Option<ActorId> {
        self.selected
    }

    pub(super) fn sort(&mut self, by: Sort) {
        self.sort = by;
        sort(&mut self.snapshot.actors, by);
    }

    /// Selects an actor so many rows further down.
    pub(super) fn move_selection(&mut self, rows: i64) {
        let last = self.snapshot.actors.len().saturating_sub(1) as i64;
        let place = (self.place() as i64).saturating_add(rows).clamp(0, last);
        let actor = self.snapshot.actors.get(place as usize);
        self.selected = actor.map(|actor| actor.id);
    }

    /// The row of the selected actor.
    fn place(&self) -> usize {
        let mut actors = self.snapshot.actors.iter();
        let place = actors.position(|actor| Some(actor.id) == self.selected);
        place.unwrap_or(0)
    }

    /// Everything as lines of text, for whom there is no terminal.
    pub(super) fn as_text(&self, width: u16, height: u16) -> Vec<String> {
        let Ok(mut terminal) = Terminal::new(TestBackend::new(width, height));
        let Ok(frame) = terminal.draw(|frame| self.draw(frame));
        let cells = frame.buffer.content().iter().map(|cell| cell.symbol());
        let cells: Vec<&str> = cells.collect();
        let lines = cells.chunks(usize::from(width));
        lines
            .map(|line| line.concat().trim_end().to_owned())
            .collect()
    }

    /// Draws everything.
    pub(super) fn draw(&self, frame: &mut Frame) {
        let parts = [
            Constraint::Length(3),
            Constraint::Min(5),
            Constraint::Length(12),
            Constraint::Length(6),
            Constraint::Length(1),
        ];
        let [head, actors, details, output, keys] = Layout::vertical(parts).areas(frame.area());
        frame.render_widget(Paragraph::new(self.head()), head);
        self.draw_actors(frame, actors);
        frame.render_widget(boxed("selected", self.details()), details);
        let height = usize::from(output.height.saturating_sub(2));
        frame.render_widget(boxed("output and anomalies", self.output(height)), output);
        let text = "q ends  space pauses  n one tick  g m b a sort  p r s pause, resume, step the selected";
        frame.render_widget(
            Paragraph::new(text).style(Style::new().fg(Color::DarkGray)),
            keys,
        );
    }

    fn head(&self) -> Vec<Line<'static>> {
        let Snapshot {
            running,
            ticks,
            now_ms,
            runnable,
            statistics,
            hibernation,
            ..
        } = &self.snapshot;
        let hibernation = hibernation_text(hibernation.as_ref());
        let hibernation = hibernation.map_or(String::new(), |text| format!("  {text}"));
        let state = match &self.snapshot.end {
            Some(end) => format!("the first actor has ended: {end}"),
            None => running.name().to_owned(),
        };
        let Rates {
            ticks: tick_rate,
            turns,
            messages,
        } = self.rates;
        vec![
            Line::from(vec![
                Span::styled(
                    self.title.clone(),
                    Style::new().add_modifier(Modifier::BOLD),
                ),
                Span::raw(format!("  {state}  tick {ticks}  world time {now_ms} ms")),
            ]),
            Line::from(format!(
                "{tick_rate:.0} ticks/s  {turns:.0} turns/s  {messages:.0} messages/s  {} dead letters{hibernation}",
                statistics.dead_letters
            )),
            Line::from(format!(
                "{} actors, {runnable} can run  {} started  {} ended, {} of them failed  {} restarts",
                self.snapshot.actors.len(),
                statistics.started,
                statistics.ended,
                statistics.failed,
                statistics.restarts
            )),
        ]
    }

    /// The actors around the selected one.
    fn draw_actors(&self, frame: &mut Frame, area: Rect) {
        let height = usize::from(area.height.saturating_sub(3)).max(1);
        let first = (self.place() + 1).saturating_sub(height);
        let rows = self.snapshot.actors.iter().skip(first).take(height);
        let rows = rows.map(|actor| self.row(actor));
        let widths = [10, 10, 16, 9, 12, 12].map(Constraint::Length);
        let widths = widths
            .into_iter()
            .chain([Constraint::Fill(1), Constraint::Fill(1)]);
        let marked = |name: &str, by: Sort| {
            let mark = if self.sort == by { "▼" } else { "" };
            format!("{name}{mark}")
        };
        let heads = [
            marked("actor", Sort::Address),
            "parent".to_owned(),
            marked("gas", Sort::Gas),
            marked("mailbox", Sort::Mailbox),
            "bytes".to_owned(),
            marked("memory", Sort::Memory),
            "doing".to_owned(),
            "at".to_owned(),
        ];
        let heads = Row::new(heads).style(Style::new().add_modifier(Modifier::BOLD));
        let block = Block::new().borders(Borders::ALL).title("actors");
        frame.render_widget(Table::new(rows, widths).header(heads).block(block), area);
    }

    fn row(&self, actor: &ActorView) -> Row<'static> {
        let place = actor.place.as_ref().map_or(String::new(), place_text);
        let row = Row::new([
            actor.id.to_string(),
            actor.parent.to_string(),
            actor.gas.to_string(),
            actor.mailbox_messages.to_string(),
            actor.mailbox_bytes.to_string(),
            actor.memory_bytes.to_string(),
            actor.doing.to_string(),
            place,
        ]);
        let colour = match actor.doing {
            Doing::Ready => Color::Green,
            Doing::Suspended(_) => Color::Yellow,
            Doing::WaitsForRoom { .. } | Doing::EndedUndelivered { .. } => Color::Red,
            _ => Color::Reset,
        };
        let style = Style::new().fg(colour);
        if Some(actor.id) == self.selected {
            row.style(style.add_modifier(Modifier::REVERSED))
        } else {
            row.style(style)
        }
    }

    fn details(&self) -> Vec<String> {
        let Some(actor) = self.snapshot.actors.get(self.place()) else {
            return Vec::new();
        };
        let held: Vec<String> = actor.capabilities.iter().map(capability_text).collect();
        let mut lines = vec![
            format!(
                "actor {}: {}, {} children, debt {}, {} bytes held",
                actor.id,
                actor.doing,
                actor.children.len(),
                actor.debt,
                actor.held_bytes
            ),
            format!("capabilities: {}", held.join("; ")),
        ];
        let stack = self
            .snapshot
            .stack
            .as_ref()
            .filter(|(of, _)| *of == actor.id);
        if let Some((_, stack)) = stack {
            lines.extend(stack.frames.iter().map(frame_text));
        }
        lines
    }

    /// The last lines of the program, and what goes wrong, if anything does.
    fn output(&self, height: usize) -> Vec<String> {
        let anomaly = self.snapshot.anomalies.last();
        let room = height.saturating_sub(usize::from(anomaly.is_some()));
        let output = &self.snapshot.output;
        let last = output.len().saturating_sub(room);
        output[last..].iter().chain(anomaly).cloned().collect()
    }
}

fn sort(actors: &mut [ActorView], by: Sort) {
    match by {
        Sort::Gas => actors.sort_by_key(|actor| (Reverse(actor.gas), actor.id)),
        Sort::Mailbox => actors.sort_by_key(|actor| (Reverse(actor.mailbox_messages), actor.id)),
        Sort::Memory => actors.sort_by_key(|actor| (Reverse(actor.memory_bytes), actor.id)),
        Sort::Address => actors.sort_by_key(|actor| actor.id),
    }
}

fn boxed(title: &'static str, lines: Vec<String>) -> Paragraph<'static> {
    let lines: Vec<Line> = lines.into_iter().map(Line::from).collect();
    Paragraph::new(lines).block(Block::new().borders(Borders::ALL).title(title))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use physics_world::ActorId;

    use super::{Screen, Sort};
    use crate::top::snapshot::tests::snapshot;

    fn drawn(screen: &Screen, height: u16) -> Vec<String> {
        screen.as_text(140, height)
    }

    fn screen() -> Screen {
        let mut screen = Screen::new("x.jue".to_owned());
        let mut snapshot = snapshot();
        snapshot.time = Duration::from_secs(2);
        snapshot.output = vec!["a line of output".to_owned()];
        screen.show(snapshot);
        screen
    }

    #[test]
    fn the_world_its_actors_and_the_selected_one_are_drawn() {
        let mut screen = screen();
        screen.sort(Sort::Address);
        screen.move_selection(i64::MIN);
        let lines = drawn(&screen, 40);
        assert!(lines[0].starts_with("x.jue  runs  tick 6"), "{}", lines[0]);
        assert!(lines[1].starts_with("3 ticks/s"), "{}", lines[1]);
        assert!(lines[2].starts_with("3 actors, 2 can run"), "{}", lines[2]);
        let text = lines.join("\n");
        let row = lines.iter().find(|line| line.starts_with("│1 ")).unwrap();
        assert!(
            row.contains("waits for a message") && row.contains("main (x.jue:3)"),
            "{row}"
        );
        assert!(
            text.contains("actor 1: waits for a message, 2 children"),
            "{text}"
        );
        assert!(
            text.contains("capabilities: io-console; sys-create-actor"),
            "{text}"
        );
        assert!(text.contains("mine = 42"), "{text}");
        assert!(text.contains("a line of output"), "{text}");
    }

    #[test]
    fn rows_are_sorted_and_the_selected_one_is_in_sight() {
        let mut screen = screen();
        let first_actor = |screen: &Screen| screen.snapshot.actors[0].id;
        assert_ne!(
            first_actor(&screen),
            ActorId(1),
            "the first actor has used the least gas"
        );
        screen.sort(Sort::Mailbox);
        assert_eq!(first_actor(&screen), ActorId(3));
        screen.sort(Sort::Address);
        assert_eq!(first_actor(&screen), ActorId(1));
        screen.move_selection(2);
        assert_eq!(screen.selected(), Some(ActorId(3)));
        // There is room for two rows: the third is seen, the first is not.
        let lines = drawn(&screen, 27);
        assert!(lines.iter().any(|line| line.starts_with("│3 ")));
        assert!(!lines.iter().any(|line| line.starts_with("│1 ")));
    }

    #[test]
    fn an_empty_world_is_drawn_too() {
        let screen = Screen::new("x.jue".to_owned());
        assert!(drawn(&screen, 30)[2].starts_with("0 actors"));
        drawn(&screen, 3);
    }
}
