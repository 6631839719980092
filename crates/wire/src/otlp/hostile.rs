//! Reading everything there is in a body, as tests and fuzzing do.

use super::{
    AnyValue, Attributes, Data, ExponentialPoint, HistogramPoint, NumberPoint, PointHead, Request, Result,
    SummaryPoint, json,
};

/// Reads a whole request and returns how many points it has.
pub fn read_all(body: &[u8]) -> Result<usize> {
    let mut count = 0;
    for resource in Request::new(body).resources() {
        let resource = resource?;
        texts(&resource.attributes)?;
        for scope in resource.scopes() {
            let scope = scope?;
            texts(&scope.attributes)?;
            for metric in scope.metrics() {
                let metric = metric?;
                if let Some(points) = metric.data.points() {
                    count += points.tally()?;
                }
                read_points(&metric.data)?;
            }
        }
    }
    Ok(count)
}

/// Reads a request in JSON as well, and what it becomes.
pub fn read_all_json(body: &[u8]) -> Result<usize> {
    read_all(&json::to_protobuf(body)?)
}

fn read_points(data: &Data<'_>) -> Result<()> {
    match data {
        Data::Unknown => {}
        Data::Gauge(points) | Data::Sum { points, .. } => {
            let mut point = NumberPoint::default();
            for message in *points {
                point.read(message?)?;
                read_head(&point.head)?;
            }
        }
        Data::Histogram(points, _) => {
            let mut point = HistogramPoint::default();
            for message in *points {
                point.read(message?)?;
                read_head(&point.head)?;
            }
        }
        Data::ExponentialHistogram(points, _) => {
            let mut point = ExponentialPoint::default();
            for message in *points {
                point.read(message?)?;
                read_head(&point.head)?;
            }
        }
        Data::Summary(points) => {
            let mut point = SummaryPoint::default();
            for message in *points {
                point.read(message?)?;
                read_head(&point.head)?;
            }
        }
    }
    Ok(())
}

fn read_head(head: &PointHead<'_>) -> Result<()> {
    texts(&head.attributes)?;
    for exemplar in head.exemplars() {
        texts(&exemplar?.attributes)?;
    }
    Ok(())
}

fn texts(attributes: &Attributes<'_>) -> Result<()> {
    for attribute in attributes.iter() {
        let attribute = attribute?;
        if !matches!(attribute.value, AnyValue::Text(_)) {
            drop(attribute.value.text());
        }
    }
    Ok(())
}
