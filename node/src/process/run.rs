//! Running a process: its task, from its start to its end.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{Ordering, fence},
    },
    task::{Context as TaskContext, Poll, ready},
};

use etf::Term;
use pin_project_lite::pin_project;

use super::{Context, IntoExit, Process, panic};
use crate::node::Inner;

pin_project! {
    /// The task of a process: polls its body, in the span that it is in, until it returns, panics, or an exit signal ends
    /// it; then tells everyone who must hear of it. The body is dropped before.
    ///
    /// A process that is never run to its end, because the runtime goes, ends too.
    struct Running<F, Fut> {
        inner: Arc<Inner>,
        process: Arc<Process>,
        is_known: bool,
        #[pin]
        body: Body<F, Fut>,
    }

    impl<F, Fut> PinnedDrop for Running<F, Fut> {
        fn drop(this: Pin<&mut Self>) {
            let this = this.project();
            if !this.process.has_ended() {
                drop_body(this.body, this.process);
                this.inner.end_process(this.process, Term::atom("killed"));
            }
        }
    }
}

pin_project! {
    /// One after the other, so that they take the place of the largest.
    #[project = BodyProjection]
    enum Body<F, Fut> {
        /// It has not begun.
        Start { function: Option<F> },
        Future { #[pin] future: Fut },
        Gone,
    }
}

impl<F, Fut> Body<F, Fut>
where
    F: FnOnce(Context) -> Fut,
    Fut: Future<Output: IntoExit>,
{
    /// The exit reason. The first poll calls the function.
    fn poll(
        mut self: Pin<&mut Self>,
        cx: &mut TaskContext<'_>,
        context: impl FnOnce() -> Context,
    ) -> Poll<Term> {
        if let BodyProjection::Start { function } = self.as_mut().project() {
            let Some(function) = function.take() else { return Poll::Pending };
            let future = function(context());
            self.set(Self::Future { future });
        }
        match self.project() {
            BodyProjection::Future { future } => Poll::Ready(ready!(future.poll(cx)).into_exit()),
            // It was dropped: nobody asks again.
            BodyProjection::Start { .. } | BodyProjection::Gone => Poll::Pending,
        }
    }
}

impl<F, Fut> Future for Running<F, Fut>
where
    F: FnOnce(Context) -> Fut,
    Fut: Future<Output: IntoExit>,
{
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<()> {
        let mut this = self.project();
        let (inner, process) = (&*this.inner, &*this.process);
        if !*this.is_known {
            // Once: a task is woken by the same waker for good.
            process.mailbox.set_task(cx.waker());
            fence(Ordering::SeqCst);
            *this.is_known = true;
        }
        let reason = match process.exit_reason(inner.registry.is_halted()) {
            Some(reason) => reason,
            None => {
                process.count_run();
                let span = process.seq_trace.span();
                let _entered = span.as_ref().map(tracing::Span::enter);
                let context = || Context::new(Arc::clone(inner), Arc::clone(process));
                let body = this.body.as_mut();
                match panic::catch(|| body.poll(cx, context), || process.initial_call()) {
                    Ok(polled) => ready!(polled),
                    Err(reason) => reason,
                }
            }
        };
        drop_body(this.body, process);
        inner.end_process(process, reason);
        Poll::Ready(())
    }
}

/// What the body holds may panic as it is dropped. Its process ends for the reason that it has already.
fn drop_body<F, Fut>(mut body: Pin<&mut Body<F, Fut>>, process: &Process) {
    let _ = panic::catch(|| body.set(Body::Gone), || process.initial_call());
}

impl Inner {
    /// Runs a process until its body returns, panics, or an exit signal ends it.
    pub(crate) fn run_process<F, Fut>(self: &Arc<Self>, process: Arc<Process>, body: F)
    where
        F: FnOnce(Context) -> Fut + Send + 'static,
        Fut: Future<Output: IntoExit> + Send + 'static,
    {
        process.set_body_bytes(size_of::<Running<F, Fut>>());
        let body = Body::Start { function: Some(body) };
        let inner = Arc::clone(self);
        self.tasks.spawn_detached(Running { inner, process, is_known: false, body });
    }

    /// Takes an ended process out of the tables and tells everyone: links, then monitors, then those it
    /// monitored itself (wire.md 5.2). At the end of the node nobody is told but who waits for it outside.
    fn end_process(self: &Arc<Self>, process: &Process, reason: Term) {
        let Some(signals) = process.signals().take() else { return };
        let end = signals.end();
        self.registry.remove(&process.pid, &end);
        process.mailbox.clear();
        if end.is_subscriber {
            self.unsubscribe(&process.pid);
        }
        // Where the node stops, who runs just now would still hear of it before its next await.
        if !self.registry.is_halted() {
            for to in end.links {
                let token = process.seq_trace.sending(&process.pid);
                self.emit_exit(&process.pid, &to, reason.clone(), token);
            }
            for (reference, watcher) in end.watchers {
                self.emit_down(&process.pid, reference, watcher, reason.clone());
            }
            for (reference, item) in end.watching {
                self.emit_demonitor(&process.pid, &item, reference);
            }
        }
        for handle in end.handles {
            // Who had it may not want to know any more.
            let _ = handle.send(reason.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task_bytes<F, Fut>(_: &F) -> usize
    where
        F: FnOnce(Context) -> Fut,
    {
        size_of::<Running<F, Fut>>()
    }

    #[test]
    fn a_process_that_waits_is_small() {
        async fn wait(mut context: Context) {
            context.receive().await;
        }
        let bytes = (size_of::<Process>(), task_bytes(&wait));
        // The allocator's and tokio's own come on top: a kibibyte in all (docs/benchmarks.md).
        assert!(bytes.0 <= 440 && bytes.1 <= 144, "{bytes:?}");
    }
}
