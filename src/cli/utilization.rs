//! `brimful utilization`.

use super::args::{RowOutput, UtilizationArgs};
use super::context::Context;
use super::output;
use super::signals::Interrupt;
use crate::pipeline::{Window, judge_window, utilization_document};
use crate::report::utilization_table;
use brimful_cur::columns::Detail;
use brimful_types::Result;

pub(crate) async fn run(args: UtilizationArgs, interrupt: Interrupt) -> Result<u8> {
    let UtilizationArgs {
        common,
        since,
        from,
        to,
        output: format,
    } = args;
    let context = Context::new(common, interrupt).await?;
    let window = Window {
        from: from.or(since.map(|since| context.now - since)),
        to,
    };
    let progress = context.progress();
    let report = |done, all| progress.update(done, all);
    let options = context.read_options(Detail::Plans, &report);
    let judged = judge_window(&options, &context.config, window, context.now).await?;
    drop(progress);
    let document = utilization_document(&judged);
    match format {
        RowOutput::Json => output::print_json(&document)?,
        RowOutput::Yaml => output::print_yaml(&document)?,
        RowOutput::Csv => output::print_csv(&utilization_table::csv(&document)?)?,
        RowOutput::Table => {
            output::print(&utilization_table::render(
                &document,
                &judged.utilization,
                context.now,
                output::width(),
            ))?;
        }
    }
    if matches!(format, RowOutput::Table | RowOutput::Csv) && !context.quiet {
        output::tell_warnings(&document.warnings);
    }
    Ok(0)
}
