//! A world in a tokio service: it runs on a thread of its own, and tasks ask its actors.

use physics_world::source::load_jue;
use physics_world::{Datum, World};

const SOURCE: &str = "
(defn fib [n] (if (< n 2) n (+ (fib (- n 1)) (fib (- n 2)))))
(defn server [] (let loop () (reply (fib (receive))) (loop)))
";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut world = World::builder().build()?;
    let program = load_jue(&mut world, "server.jue", SOURCE)?;
    let servers = [0, 1, 2].map(|_| world.spawn_function(program, "server", &[]));
    let handle = world.handle();
    let running = std::thread::spawn(move || world.serve());

    let mut tasks = Vec::new();
    for (n, server) in (15..).zip(servers) {
        let (handle, server) = (handle.clone(), server?);
        tasks.push(tokio::spawn(async move {
            (n, handle.ask(server, Datum::Int(n)).await)
        }));
    }
    for task in tasks {
        let (n, answer) = task.await?;
        println!("fib {n} = {:?}", answer?);
    }
    handle.stop();
    running.join().map_err(|_| "the world panicked")?;
    Ok(())
}
